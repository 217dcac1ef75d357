import { invalidArgument } from '../errors.js';
import type { AutoencoderKL } from '../models/autoencoder-kl.js';
import { concat, type Tensor } from '../tensor.js';
import type { NoiseSource } from './noise.js';

/**
 * Pictures [n, 3, h, w] from 0 to 1 -> latents [batch, c, h / 8, w / 8] in model scale, sampled from the posterior
 * (diffusers: AutoencoderKL.encode(...).latent_dist.sample, its log variance clamped to [-30, 20]).
 *
 * One generator draws for the pictures, which are then repeated for the batch; one generator an image draws for every
 * image of the batch.
 */
export async function encodeImages(
  vae: AutoencoderKL,
  images: Tensor,
  noise: NoiseSource,
  batch: number,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const [count = 0] = images.shape;
  const pixels = { ...images, data: images.data.map((value) => 2 * value - 1) };
  const moments = await vae.encode(pixels, signal);
  const [, channels = 0, height = 0, width = 0] = moments.shape;
  const half = (channels / 2) * height * width;
  const drawn = noise.seeds.length > 1 ? batch : count;
  const normal = noise.drawRows(drawn, half);
  const latents = new Float32Array(drawn * half);
  for (let i = 0; i < drawn; i++) {
    const mean = 2 * half * (i % count);
    for (let k = 0; k < half; k++) {
      const logVariance = Math.min(20, Math.max(-30, moments.data[mean + half + k] as number));
      const deviation = Math.exp(0.5 * logVariance);
      const sample = (moments.data[mean + k] as number) + deviation * (normal[i * half + k] as number);
      latents[i * half + k] = sample * vae.scalingFactor;
    }
  }
  return repeatTo(latents, drawn, batch);
}

/** `rows` blocks over and over until there are `batch` of them. */
export function repeatTo(data: Float32Array, rows: number, batch: number): Float32Array {
  return concat(Array.from({ length: batch / rows }, () => data));
}

/** Throws unless the pictures can be shared out evenly over a batch. */
export function checkImageCount(name: string, images: Tensor, batch: number): void {
  const [count = 0] = images.shape;
  if (batch % count !== 0) {
    throw invalidArgument(name, `has ${count} pictures for ${batch} images; give one, or one for each`);
  }
}
