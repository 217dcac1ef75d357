import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { resizeLanczos } from '../../lib/images/resize.js';
import { DiffusionPipeline, type StableDiffusionPipeline, type StepEvent } from '../../lib/index.js';
import { fitProjection } from '../../lib/previews/fit.js';
import { LatentPreview } from '../../lib/previews/latent-preview.js';
import { projectLatents, SD_PROJECTION } from '../../lib/previews/projection.js';
import { copyModel } from './broken-models.js';
import { latentsOf, loadTiny, previewsOf, rejection, sameBits } from './tiny.js';

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

describe('previews of a run', () => {
  test('are images of its size, for each image of the batch', async () => {
    const previews = await previewsOf(pipe, { width: 72, height: 40, numImages: 2 });
    expect(previews).toHaveLength(2);
    for (const preview of previews) {
      expect(preview).toBeInstanceOf(LatentPreview);
      expect((await preview.toImages()).map(({ width, height }) => [width, height])).toEqual([
        [72, 40],
        [72, 40],
      ]);
    }
  });

  test('are the known projection of the predicted clean latents', async () => {
    const [, last] = await previewsOf(pipe);
    const [small] = await projectLatents(last as LatentPreview, SD_PROJECTION);
    const expected = await resizeLanczos(small as never, 64, 64);
    expect((await last?.toImage())?.data).toEqual(expected.data);
    expect(new Set(expected.data).size).toBeGreaterThan(20);
  });

  test('come through stream too', async () => {
    const sizes: number[] = [];
    for await (const event of pipe.stream({ prompt: 'a', steps: 2, previewEvery: 1, output: 'latent' })) {
      if (event.type === 'step' && event.preview) sizes.push((await event.preview.toImage()).width);
    }
    expect(sizes).toEqual([64, 64, 64]);
  });

  test('change nothing', async () => {
    const expected = await latentsOf(pipe);
    const onStep = ({ preview }: StepEvent) => preview?.toImages();
    expect(sameBits(await latentsOf(pipe, { previewEvery: 1, onStep }), expected)).toBe(true);
  });
});

describe('a projection that is fitted', () => {
  test('is always the same', async () => {
    expect(await fitProjection(pipe.vae)).toEqual(await fitProjection(pipe.vae));
  });

  test('is taken on request', async () => {
    const fitted = await loadTiny({ fitPreviews: true });
    const [, last] = await previewsOf(fitted);
    const [, known] = await previewsOf(pipe);
    expect(sameBits(last?.data as Float32Array, known?.data as Float32Array)).toBe(true);
    const [small] = await projectLatents(last as LatentPreview, await fitProjection(pipe.vae));
    expect((await last?.toImage())?.data).toEqual((await resizeLanczos(small as never, 64, 64)).data);
    expect((await last?.toImage())?.data).not.toEqual((await known?.toImage())?.data);
    await fitted.dispose();
  });

  test('is taken by itself for an autoencoder of another scale', async () => {
    const folder = copyModel();
    const config = join(folder, 'vae/config.json');
    const scaled = { ...JSON.parse(readFileSync(config, 'utf8')), scaling_factor: 1 };
    writeFileSync(config, JSON.stringify(scaled));
    const other = await DiffusionPipeline.fromPretrained(folder, { device: 'cpu', log: () => {} });
    rmSync(folder, { recursive: true });
    const [, last] = await previewsOf(other);
    const [small] = await projectLatents(
      last as LatentPreview,
      await fitProjection((other as typeof pipe).vae),
    );
    expect((await last?.toImage())?.data).toEqual((await resizeLanczos(small as never, 64, 64)).data);
    await other.dispose();
  });

  test('stops with its run', async () => {
    const reason = new Error('stop');
    const error = rejection(fitProjection(pipe.vae, AbortSignal.abort(reason)));
    expect(await error).toBe(reason);
  });
});
