import { floatsToPixels } from '../images/floats.js';
import { Image } from '../images/image.js';
import { inSlices, PART, type Sliced } from '../slices.js';
import type { Tensor } from '../tensor.js';

/**
 * A linear guess at the colour that a latent pixel decodes to: rgb = bias + sum of latent[c] * factors[c], from -1
 * (black) to 1 (white). Latents are in model scale.
 */
export interface LatentProjection {
  /** Red, green and blue for each latent channel. */
  readonly factors: readonly (readonly [number, number, number])[];
  readonly bias: readonly [number, number, number];
}

/** Stable Diffusion 1.x and 2.x, which share an autoencoder. Numbers as in ComfyUI's latent_formats. */
export const SD_PROJECTION: LatentProjection = {
  factors: [
    [0.3512, 0.2297, 0.3227],
    [0.325, 0.4974, 0.235],
    [-0.2829, 0.1762, 0.2721],
    [-0.212, -0.2616, -0.7177],
  ],
  bias: [0, 0, 0],
};

/** Stable Diffusion XL, from the same source. */
export const SDXL_PROJECTION: LatentProjection = {
  factors: [
    [0.3651, 0.4232, 0.4341],
    [-0.2533, -0.0042, 0.1068],
    [0.1076, 0.1111, -0.0362],
    [-0.3165, -0.2492, -0.2188],
  ],
  bias: [0.1084, -0.0175, -0.0011],
};

/**
 * The published projection for an autoencoder, which its scaling factor identifies; undefined for others, see
 * {@link fitProjection}.
 */
export function knownProjection(vae: {
  latentChannels: number;
  scalingFactor: number;
  latentScale: { readonly isPlain: boolean };
}): LatentProjection | undefined {
  if (vae.latentChannels !== 4 || !vae.latentScale.isPlain) return undefined;
  const is = (factor: number) => Math.abs(vae.scalingFactor - factor) < 1e-6;
  if (is(0.18215)) return SD_PROJECTION;
  return is(0.13025) ? SDXL_PROJECTION : undefined;
}

export interface PreviewOptions {
  signal?: AbortSignal | undefined;
}

/** Latents [n, c, h, w] in model scale -> n images of w x h pixels, one for each latent pixel. */
export async function projectLatents(
  { data, shape }: Tensor,
  projection: LatentProjection,
  { signal }: PreviewOptions = {},
): Promise<Image[]> {
  const [count = 0, channels = 0, height = 0, width = 0] = shape;
  const size = channels * height * width;
  const images: Image[] = [];
  for (let n = 0; n < count; n++) {
    const colors = projected(data.subarray(n * size, (n + 1) * size), height * width, projection);
    const pixels = floatsToPixels(await inSlices(colors, signal), 'signed');
    images.push(new Image({ width, height, data: await inSlices(pixels, signal) }));
  }
  return images;
}

/** Latents [c, pixels] -> [3, pixels] from -1 to 1. */
function* projected(
  data: Float32Array,
  pixels: number,
  { factors, bias }: LatentProjection,
): Sliced<Float32Array> {
  const rgb = new Float32Array(3 * pixels);
  for (let color = 0; color < 3; color++) {
    for (let start = 0; start < pixels; start += PART) {
      const end = Math.min(pixels, start + PART);
      const out = rgb.subarray(color * pixels + start, color * pixels + end);
      out.fill(bias[color] as number);
      for (let from = start, c = 0; from < data.length; from += pixels, c++) {
        const factor = factors[c]?.[color] ?? 0;
        for (let i = 0; i < out.length; i++)
          out[i] = (out[i] as number) + factor * (data[from + i] as number);
        yield;
      }
    }
  }
  return rgb;
}
