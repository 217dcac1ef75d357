import { describe, expect, test } from '@jest/globals';
import { LatentScale } from '../../lib/models/latent-scale.js';
import { inOneGo } from '../../lib/slices.js';

// Playground v2.5's.
const MEANS = {
  latents_mean: [-1.6574, 1.886, -1.383, 2.5155],
  latents_std: [8.4927, 5.9022, 6.5498, 5.2299],
};
const latents = Float32Array.from({ length: 2 * 4 * 6 }, (_, i) => Math.sin(i));

const back = (scale: LatentScale, values: Float32Array) =>
  values.map((value, i) => scale.toModel(value, Math.floor(i / 6) % 4));

describe('between the latents of autoencoder and U-Net', () => {
  test('means and deviations of the channels: latents * std / scaling_factor + mean', () => {
    const scale = new LatentScale(0.5, 4, MEANS);
    const out = inOneGo(scale.fromModel(latents, 6));
    for (const i of [0, 5, 6, 23, 24, 47]) {
      const channel = Math.floor(i / 6) % 4;
      const { latents_mean: mean, latents_std: std } = MEANS;
      const expected = ((latents[i] as number) * (std[channel] as number)) / 0.5 + (mean[channel] as number);
      expect(out[i]).toBeCloseTo(expected, 5);
    }
    for (const [i, value] of back(scale, out).entries()) expect(value).toBeCloseTo(latents[i] as number, 5);
    expect(scale.isPlain).toBe(false);
  });

  test('a shift: latents / scaling_factor + shift_factor', () => {
    const scale = new LatentScale(1.5305, 4, { shift_factor: 0.0609 });
    const out = inOneGo(scale.fromModel(latents, 6));
    expect(out[3]).toBeCloseTo((latents[3] as number) / 1.5305 + 0.0609, 6);
    for (const [i, value] of back(scale, out).entries()) expect(value).toBeCloseTo(latents[i] as number, 6);
  });

  test('a factor alone divides, to the last bit', () => {
    for (const config of [{}, { latents_mean: null, latents_std: null, shift_factor: null }]) {
      const scale = new LatentScale(0.18215, 4, config);
      expect(scale.isPlain).toBe(true);
      expect(inOneGo(scale.fromModel(latents, 6))).toEqual(latents.map((value) => value / 0.18215));
      expect(back(scale, latents)).toEqual(latents.map((value) => value * 0.18215));
    }
  });

  test.each([
    [{ ...MEANS, latents_mean: [1, 2, 3] }, 'latents_mean'],
    [{ ...MEANS, latents_mean: 5 }, 'latents_mean'],
    [{ ...MEANS, latents_mean: [1, 2, 3, null] }, 'latents_mean'],
    [{ ...MEANS, latents_std: [1, 2, 3, 0] }, 'latents_std'],
    [{ ...MEANS, latents_std: [1, 2, 3, 'x'] }, 'latents_std'],
    [{ ...MEANS, latents_std: [1, 1, 1, 1, 1] }, 'latents_std'],
    [{ latents_mean: [0, 0, 0, 0] }, 'latents_std'],
    [{ shift_factor: '1' }, 'shift_factor'],
  ])('%j is an error that names %s', (config, field) => {
    expect(() => new LatentScale(1, 4, config, 'm/vae/config.json')).toThrow(
      expect.objectContaining({
        code: 'ERR_DEEPCACHE_INVALID_CONFIG',
        message: expect.stringMatching(`m/vae/config.json.*${field}`),
      }),
    );
  });

  test('a shift beside means is not supported', () => {
    expect(() => new LatentScale(1, 4, { ...MEANS, shift_factor: 1 })).toThrow(
      expect.objectContaining({ code: 'ERR_DEEPCACHE_UNSUPPORTED' }),
    );
  });
});
