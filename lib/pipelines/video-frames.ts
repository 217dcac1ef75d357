import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { Image } from '../images/image.js';
import type { AutoencoderKL } from '../models/autoencoder-kl.js';
import { FloatTensor, type Tensor } from '../tensor.js';

/**
 * Latents of frames [n, c, h, w] in model scale -> pixels [n, 3, h, w] from 0 to 1, so many frames at once. A video's
 * autoencoder sees the frames that it decodes at once together.
 */
export async function decodeFrames(
  vae: AutoencoderKL,
  { data, shape }: Tensor,
  chunk: number,
  signal: AbortSignal | undefined,
): Promise<Tensor> {
  const [frames = 0, ...each] = shape;
  const [, height = 0, width = 0] = each.map((extent) => extent * vae.scale);
  const count = data.length / frames;
  const pixels = new Float32Array(frames * 3 * height * width);
  for (let i = 0; i < frames; i += chunk) {
    const some = Math.min(chunk, frames - i);
    const latents = data.subarray(i * count, (i + some) * count).map((value) => value / vae.scalingFactor);
    const decoded = await vae.decode({ data: latents, shape: [some, ...each] }, { signal });
    const to = pixels.subarray(i * 3 * height * width);
    for (const [k, value] of decoded.data.entries()) to[k] = Math.min(1, Math.max(0, value / 2 + 0.5));
  }
  return new FloatTensor(pixels, [frames, 3, height, width]);
}

/** Pixels [n, 3, h, w] from 0 to 1 as pictures, with the event loop getting its turn in between. */
export async function framesOf({ data, shape }: Tensor): Promise<Image[]> {
  const [frames = 0, , height = 0, width = 0] = shape;
  const size = 3 * height * width;
  const images: Image[] = [];
  for (let i = 0; i < frames; i++) {
    if (i > 0) await yieldToLoop();
    images.push(Image.fromFloat(data.subarray(i * size, (i + 1) * size), width, height));
  }
  return images;
}
