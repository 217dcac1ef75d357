import { describe, expect, test } from '@jest/globals';
import { LatentScale } from '../../lib/models/latent-scale.js';
import { fitProjection } from '../../lib/previews/fit.js';
import type { Tensor } from '../../lib/tensor.js';

/** An autoencoder whose latents are sums of a latent pixel's mean colours, times `scale`, plus an offset. */
function linearAutoencoder(mix: readonly (readonly number[])[], offset: number, scale = 1) {
  return {
    hasPosterior: true,
    latentScale: new LatentScale(scale, mix.length),
    async encode({ data, shape }: Tensor): Promise<Tensor> {
      const [, , height = 0, width = 0] = shape;
      const [h, w] = [height / 8, width / 8];
      const mean = new Float32Array(3 * h * w);
      for (let i = 0; i < data.length; i++) {
        const [row, x] = [Math.floor(i / width), i % width];
        const [color, y] = [Math.floor(row / height), row % height];
        const at = (color * h + (y >> 3)) * w + (x >> 3);
        mean[at] = (mean[at] as number) + (data[i] as number) / 64;
      }
      // Behind the means come as many channels of variance, which do not matter.
      const out = new Float32Array(2 * mix.length * h * w).fill(99);
      for (const [c, factors] of mix.entries()) {
        for (let i = 0; i < h * w; i++) {
          const color = (k: number) => (factors[k] as number) * (mean[k * h * w + i] as number);
          out[c * h * w + i] = (color(0) + color(1) + color(2) + offset) / scale;
        }
      }
      return { data: out, shape: [1, 2 * mix.length, h, w] };
    },
  };
}

describe('fitProjection', () => {
  const identity = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ];

  test('finds the colours that an autoencoder made its latents of', async () => {
    const vae = linearAutoencoder([...identity, [0, 0, 0]], 0.5, 0.13);
    const { factors, bias } = await fitProjection(vae);
    for (let c = 0; c < 3; c++) {
      for (let k = 0; k < 3; k++) {
        expect(factors[c]?.[k]).toBeCloseTo(identity[c]?.[k] as number, 2);
      }
    }
    for (let k = 0; k < 3; k++) expect(0.5 * sum(factors, k) + (bias[k] as number)).toBeCloseTo(0, 2);
  });

  test('takes mixtures apart', async () => {
    const mix = [
      [2, 1, 0],
      [0, -1, 1],
      [1, 0, 3],
      [0.3, 0.3, 0.3],
    ];
    const { factors, bias } = await fitProjection(linearAutoencoder(mix, 0));
    // Latents of a pure colour must come back as that colour.
    for (let color = 0; color < 3; color++) {
      for (let k = 0; k < 3; k++) {
        const seen = mix.reduce(
          (total, row, c) => total + (row[color] as number) * (factors[c]?.[k] as number),
          0,
        );
        expect(seen + (bias[k] as number)).toBeCloseTo(color === k ? 1 : 0, 2);
      }
    }
  });

  test('has an answer for an autoencoder that sees nothing', async () => {
    const { factors, bias } = await fitProjection(linearAutoencoder(Array(4).fill([0, 0, 0]), 0));
    for (const value of [...factors.flat(), ...bias]) expect(Math.abs(value)).toBeLessThan(0.3);
  });
});

const sum = (factors: readonly (readonly number[])[], k: number) =>
  factors.reduce((total, row) => total + (row[k] as number), 0);
