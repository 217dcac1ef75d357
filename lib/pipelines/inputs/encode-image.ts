import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import { forEachIndex, inOneGo, inSlices, mapParts, type Sliced } from '../../slices.js';
import { joined, newFloats, type Tensor } from '../../tensor.js';
import { toSigned } from '../outputs/pixels.js';
import type { NoiseSource } from './noise.js';
import type { TextRunOptions } from './options.js';

/**
 * Pictures [n, 3, h, w] from 0 to 1 -> latents [batch, c, h / 8, w / 8] in model scale, sampled from the posterior
 * (diffusers: AutoencoderKL.encode(...).latent_dist.sample, its log variance clamped to [-30, 20]). Nothing is drawn for
 * an autoencoder without a posterior.
 *
 * One generator draws for the pictures, which are then repeated for the batch; one generator an image draws for every
 * image of the batch.
 */
export async function encodeImages(
  vae: AutoencoderKL,
  images: Tensor,
  noise: NoiseSource,
  { batch, tiling, signal }: Pick<TextRunOptions, 'batch' | 'tiling' | 'signal'>,
): Promise<Float32Array> {
  const count = images.shape[0] ?? 0;
  const moments = await momentsOf(vae, images, { tiling, signal });
  const [, channels = 0, height = 0, width = 0] = moments[0]?.shape ?? [];
  if (!vae.hasPosterior) {
    const pixels = height * width;
    const all = await inSlices(joined(moments.map(({ data }) => data)), signal);
    const toModel = (value: number, i: number) =>
      vae.latentScale.toModel(value, Math.floor(i / pixels) % channels);
    const latents = await inSlices(mapParts(all, toModel), signal);
    return inSlices(repeated(latents, count, batch), signal);
  }
  const half = (channels / 2) * height * width;
  const drawn = noise.seeds.length > 1 ? batch : count;
  const normal = await noise.drawRows(drawn, half, signal);
  const latents = newFloats(drawn * half);
  for (let i = 0; i < drawn; i++) {
    const values = (moments[i % count] as Tensor).data;
    const sample = forEachIndex(half, (k) => {
      const logVariance = Math.min(20, Math.max(-30, values[half + k] as number));
      const deviation = Math.exp(0.5 * logVariance);
      const sample = (values[k] as number) + deviation * (normal[i * half + k] as number);
      latents[i * half + k] = vae.latentScale.toModel(sample, Math.floor(k / (height * width)));
    });
    await inSlices(sample, signal);
  }
  return inSlices(repeated(latents, drawn, batch), signal);
}

/**
 * Pictures [n, 3, h, w] from 0 to 1 -> the modes of their posteriors [batch, c, h / 8, w / 8], in the autoencoder's own
 * scale (diffusers: retrieve_latents with sample_mode "argmax").
 */
export async function encodeModes(
  vae: AutoencoderKL,
  images: Tensor,
  { batch, tiling, signal }: Pick<TextRunOptions, 'batch' | 'tiling' | 'signal'>,
): Promise<Float32Array> {
  const moments = await momentsOf(vae, images, { tiling, signal });
  const modes = moments.map(({ data }) => (vae.hasPosterior ? data.subarray(0, data.length / 2) : data));
  return inSlices(repeated(await inSlices(joined(modes), signal), moments.length, batch), signal);
}

/** What the encoder makes of each picture, one at a time to save memory. */
async function momentsOf(
  vae: AutoencoderKL,
  { data, shape: [count = 0, ...each] }: Tensor,
  { tiling, signal }: { tiling: TextRunOptions['tiling']; signal: AbortSignal | undefined },
): Promise<Tensor[]> {
  const size = data.length / count;
  const moments: Tensor[] = [];
  for (let i = 0; i < count; i++) {
    const signed = await inSlices(toSigned(data.subarray(i * size, (i + 1) * size)), signal);
    moments.push(await vae.encode({ data: signed, shape: [1, ...each] }, { tiling, signal }));
  }
  return moments;
}

/** `rows` blocks over and over until there are `batch` of them. */
export function repeatTo(data: Float32Array, rows: number, batch: number): Float32Array {
  return inOneGo(repeated(data, rows, batch));
}

/** The same in parts. */
export function* repeated(data: Float32Array, rows: number, batch: number): Sliced<Float32Array> {
  return batch === rows ? data : yield* joined(Array.from({ length: batch / rows }, () => data));
}
