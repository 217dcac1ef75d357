import { describe, expect, test } from '@jest/globals';
import { LatentPreview } from '../../lib/previews/latent-preview.js';
import { linearLook } from '../../lib/previews/look.js';
import {
  knownProjection,
  projectLatents,
  SD_PROJECTION,
  SDXL_PROJECTION,
} from '../../lib/previews/projection.js';

describe('the published projections', () => {
  test('are told apart by the scaling factor', () => {
    const known = (scalingFactor: number, latentChannels = 4, isPlain = true) =>
      knownProjection({ scalingFactor, latentChannels, latentScale: { isPlain } });
    expect(known(0.18215)).toBe(SD_PROJECTION);
    expect(known(0.13025)).toBe(SDXL_PROJECTION);
    expect(known(1)).toBeUndefined();
    expect(known(0.18215, 16)).toBeUndefined();
    expect(known(0.18215, 4, false)).toBeUndefined();
  });

  test('have a colour for each channel', () => {
    for (const { factors, bias } of [SD_PROJECTION, SDXL_PROJECTION]) {
      expect(factors.map((row) => row.length)).toEqual([3, 3, 3, 3]);
      expect(bias).toHaveLength(3);
    }
  });
});

describe('projectLatents', () => {
  const projection = {
    factors: [
      [1, 0, 0],
      [0, 0.5, 0],
      [0, 0, -1],
      [0.25, 0.25, 0.25],
    ] as const,
    bias: [0, 0.5, -1] as const,
  };

  test('adds up channels and bias, clamps, and keeps images apart', async () => {
    // Two images of 1 x 2 pixels, channel after channel.
    const data = Float32Array.of(-1, 1, 0, 1, 0, -2, 0, 0, /**/ 0, 5, 0, -3, 0, 0, 4, -4);
    const images = await projectLatents({ data, shape: [2, 4, 1, 2] }, projection);
    expect(images.map(({ width, height }) => [width, height])).toEqual([
      [2, 1],
      [2, 1],
    ]);
    // -1, 0 and 1 are 0, 127.5 and 255; a half goes to the even number.
    expect([...(images[0]?.data ?? [])]).toEqual([0, 191, 0, 255, 255, 255]);
    expect([...(images[1]?.data ?? [])]).toEqual([255, 255, 128, 255, 0, 0]);
  });

  test('a preview is as large as the image, and asks for one that is there', async () => {
    const data = Float32Array.from({ length: 2 * 4 * 3 * 5 }, (_, i) => Math.sin(i));
    const preview = new LatentPreview(data, [2, 4, 3, 5], linearLook(projection, 8));
    expect(await preview.toImage()).toMatchObject({ width: 40, height: 24 });
    const images = await preview.toImages();
    expect(images).toHaveLength(2);
    expect(images[1]?.data).toEqual((await preview.toImage(1)).data);
    expect(images[1]?.data).not.toEqual(images[0]?.data);
    for (const index of [-1, 2, 0.5, Number.NaN, '0']) {
      await expect(preview.toImage(index as number)).rejects.toThrow(
        /^index must be a whole number from 0 to 1/,
      );
    }
  });

  test('flat latents are a flat picture', async () => {
    const data = new Float32Array(4 * 4 * 4).fill(0.2);
    const { data: colors } = await new LatentPreview(data, [1, 4, 4, 4], linearLook(projection, 8)).toImage();
    // 0.2 + 0.05, 0.1 + 0.05 + 0.5, -0.2 + 0.05 - 1
    for (let i = 0; i < colors.length; i++) expect(colors[i]).toBe([159, 210, 0][i % 3]);
  });
});

test('a preview can be sent to another thread as a tensor', () => {
  const preview = new LatentPreview(Float32Array.of(1, 2, 3, 4), [1, 4, 1, 1], linearLook(SD_PROJECTION, 8));
  expect(structuredClone({ step: 1, preview })).toEqual({
    step: 1,
    preview: { data: Float32Array.of(1, 2, 3, 4), shape: [1, 4, 1, 1] },
  });
});
