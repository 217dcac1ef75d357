import { solve } from '../math/solve.js';
import type { AutoencoderKL } from '../models/autoencoder-kl.js';
import { native } from '../native/binding.js';
import type { LatentProjection } from './projection.js';

/** Pixels of the picture that is encoded, and of its patches: of 8 to 64 pixels, 16 explain drawings best. */
const SIZE = 128;
const PATCH = 16;

/**
 * Finds an autoencoder's own projection: a picture of colourful patches is encoded, and its colours, averaged over each latent
 * pixel, are explained by its latents (least squares). Always the same for the same autoencoder.
 */
export async function fitProjection(
  vae: Pick<AutoencoderKL, 'encode' | 'hasPosterior' | 'latentScale'>,
  signal?: AbortSignal,
): Promise<LatentProjection> {
  const picture = patches();
  const moments = await vae.encode({ data: picture, shape: [1, 3, SIZE, SIZE] }, { signal });
  const [, both = 0, height = 0, width = 0] = moments.shape;
  const channels = vae.hasPosterior ? both / 2 : both;
  const pixels = height * width;
  const colors = averages(picture, SIZE / height);
  const unknowns = channels + 1;
  // Normal equations A * coefficients = B, with a constant 1 behind the latents.
  const a = Array.from({ length: unknowns }, () => new Float64Array(unknowns));
  const b = Array.from({ length: unknowns }, () => new Float64Array(3));
  for (let i = 0; i < pixels; i++) {
    const value = (c: number) =>
      c < channels ? vae.latentScale.toModel(moments.data[c * pixels + i] as number, c) : 1;
    for (let row = 0; row < unknowns; row++) {
      for (let column = 0; column < unknowns; column++) add(a[row], column, value(row) * value(column));
      for (let color = 0; color < 3; color++) add(b[row], color, value(row) * (colors[color]?.[i] as number));
    }
  }
  // Channels that carry nothing would leave the equations without a single answer.
  for (let c = 0; c < channels; c++) add(a[c], c, 1e-4 * pixels);
  const solution = solve(a, b).map(([r = 0, g = 0, b = 0]) => [r, g, b] as const);
  return { factors: solution.slice(0, channels), bias: solution[channels] as LatentProjection['bias'] };
}

/** Squares of random colours, from -1 to 1: [3, SIZE, SIZE]. Always the same. */
function patches(): Float32Array {
  const cells = SIZE / PATCH;
  const colors = new (native().Generator)(0n).rand(3 * cells * cells);
  return Float32Array.from({ length: 3 * SIZE * SIZE }, (_, i) => {
    const [row, x] = [Math.floor(i / SIZE), i % SIZE];
    const [color, y] = [Math.floor(row / SIZE), row % SIZE];
    const cell = (color * cells + Math.floor(y / PATCH)) * cells + Math.floor(x / PATCH);
    return 2 * (colors[cell] as number) - 1;
  });
}

/** Means over squares of `scale` x `scale` pixels, for each colour. */
function averages(picture: Float32Array, scale: number): Float64Array[] {
  const side = SIZE / scale;
  return [0, 1, 2].map((color) => {
    const out = new Float64Array(side * side);
    for (let i = 0; i < SIZE * SIZE; i++) {
      const [y, x] = [Math.floor(i / SIZE / scale), Math.floor((i % SIZE) / scale)];
      add(out, y * side + x, (picture[color * SIZE * SIZE + i] as number) / scale ** 2);
    }
    return out;
  });
}

function add(to: Float64Array | undefined, index: number, value: number): void {
  if (to) to[index] = (to[index] as number) + value;
}
