import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import { inSlices } from '../../slices.js';
import { FloatTensor, newFloats, type Tensor } from '../../tensor.js';
import { toUnit } from './pixels.js';

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
  const pixels = newFloats(frames * 3 * height * width);
  for (let i = 0; i < frames; i += chunk) {
    const some = Math.min(chunk, frames - i);
    const part = data.subarray(i * count, (i + some) * count);
    const scaled = vae.latentScale.fromModel(part, (height * width) / vae.scale ** 2);
    const latents = await inSlices(scaled, signal);
    const decoded = await vae.decode({ data: latents, shape: [some, ...each] }, { signal });
    await inSlices(toUnit(decoded.data, pixels.subarray(i * 3 * height * width)), signal);
  }
  return new FloatTensor(pixels, [frames, 3, height, width]);
}
