import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { generateImage, type ImageModel } from 'ai';
import { aiImageModel } from '../../lib/entries/ai.js';
import { Image, readSettings, type StableDiffusionPipeline } from '../../lib/index.js';
import { loadTiny } from '../pipelines/tiny.js';

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  // Warnings are in the answers, too.
  (globalThis as { AI_SDK_LOG_WARNINGS?: boolean }).AI_SDK_LOG_WARNINGS = false;
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

const RUN = { prompt: 'a lighthouse', size: '64x64', seed: 3, maxRetries: 0 } as const;
const deepcache = { steps: 3, cache: { interval: 2 } };

describe('the AI SDK', () => {
  test('makes the pictures that the pipeline makes', async () => {
    // What the SDK takes is what it is.
    const model: ImageModel = aiImageModel(pipe, { modelId: 'tiny' });
    const { images, warnings, providerMetadata, responses } = await generateImage({
      ...{ model, ...RUN, n: 2, providerOptions: { deepcache } },
    });
    const { images: alone } = await pipe.generate({
      ...{ prompt: RUN.prompt, width: 64, height: 64, seed: 3, numImages: 2, ...deepcache },
    } as never);
    expect(images.map(({ mediaType }) => mediaType)).toEqual(['image/png', 'image/png']);
    for (const [i, { uint8Array }] of images.entries()) {
      const { data } = await Image.open(uint8Array);
      expect(Buffer.from(data).equals(Buffer.from((alone[i] as Image).data))).toBe(true);
      expect((await readSettings(uint8Array)).fields.Seed).toBe('3');
    }
    expect(warnings).toEqual([]);
    expect(responses[0]?.modelId).toBe('tiny');
    const about = { seed: 3, speedup: expect.any(Number), notes: [] };
    expect(providerMetadata.deepcache).toEqual({ images: [about, about] });
  });

  test('makes several calls for many, and is told what is not known', async () => {
    const model = aiImageModel(pipe, { maxImagesPerCall: 2, defaults: { steps: 1 } });
    const { images, warnings } = await generateImage({
      model,
      prompt: 'a',
      n: 3,
      aspectRatio: '1:1',
      maxRetries: 0,
    });
    expect(images).toHaveLength(3);
    expect(warnings).toContainEqual({
      type: 'unsupported',
      feature: 'aspectRatio',
      details: 'give a size instead',
    });
  });

  test('starts from pictures, with masks that are white or transparent', async () => {
    const model = aiImageModel(pipe, { defaults: { steps: 2, strength: 1 } });
    const start = new Image({ width: 64, height: 64, data: new Uint8Array(64 * 64 * 3).fill(90) });
    const bytes = await start.toBuffer();
    const make = async (mask?: Uint8Array) => {
      const prompt = { text: 'a', images: [bytes], ...(mask && { mask }) };
      const { image } = await generateImage({ model, prompt, seed: 1, maxRetries: 0 });
      return Image.open(image.uint8Array);
    };
    expect((await make()).width).toBe(64);
    const white = new Uint8Array(64 * 64 * 3);
    white.fill(255, 0, white.length / 2);
    const { default: sharp } = await import('sharp');
    const half = Buffer.alloc(64 * 64 * 4, 255);
    for (let i = 0; i < 64 * 32; i++) half[4 * i + 3] = 0;
    const transparent = await sharp(half, { raw: { width: 64, height: 64, channels: 4 } })
      .png()
      .toBuffer();
    const [a, b] = [
      await make(await new Image({ width: 64, height: 64, data: white }).toBuffer()),
      await make(transparent),
    ];
    expect(Buffer.from(a.data).equals(Buffer.from(b.data))).toBe(true);
    // The pipeline itself is still there.
    expect((await pipe.generate({ prompt: 'a', steps: 1 })).images).toHaveLength(1);
  });

  test('ends a run by its signal', async () => {
    const model = aiImageModel(pipe);
    const run = {
      model,
      prompt: 'a',
      size: '256x256',
      maxRetries: 0,
      providerOptions: { deepcache: { steps: 999 } },
    } as const;
    await expect(generateImage({ ...run, abortSignal: AbortSignal.timeout(300) })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });

  test('is told what is wrong in our words', async () => {
    const model = aiImageModel(pipe);
    for (const [more, words] of [
      [{ size: '60x60' }, /^width must be/],
      [{ providerOptions: { deepcache: { stepz: 3 } } }, /^stepz is not an option/],
      [{ prompt: { text: 'a', images: ['/etc/passwd'] } }, /./],
    ] as const)
      await expect(generateImage({ model, prompt: 'a', maxRetries: 0, ...(more as object) })).rejects.toThrow(
        words,
      );
    expect(() => aiImageModel({} as never)).toThrow('pipe must be a pipeline');
    expect(() => aiImageModel(pipe, { model: 'x' } as never)).toThrow('model is not an option');
  });
});
