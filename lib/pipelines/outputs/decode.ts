import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import type { Tiling } from '../../models/tiling.js';
import { inSlices } from '../../slices.js';
import { FloatTensor, newFloats, type Tensor } from '../../tensor.js';
import { toUnit } from './pixels.js';

/**
 * Latents [n, c, h, w] in model scale -> pixels [n, 3, h, w] from 0 to 1, one at a time to save memory. A video's
 * autoencoder sees the frames together of which it decodes a `chunk` at once.
 */
export async function decodeLatents(
  vae: AutoencoderKL,
  { data, shape }: Tensor,
  {
    chunk = 1,
    tiling,
    signal,
  }: { chunk?: number; tiling?: Tiling | undefined; signal: AbortSignal | undefined },
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
    const decoded = await vae.decode({ data: latents, shape: [some, ...each] }, { tiling, signal });
    await inSlices(toUnit(decoded.data, pixels.subarray(i * 3 * height * width)), signal);
  }
  return new FloatTensor(pixels, [frames, 3, height, width]);
}
