import { roundHalfEven } from '../../math/numpy.js';
import type { Tensor } from '../../tensor.js';

const f32 = Math.fround;

/** Side of the picture whose pixels motion is measured in, whatever the latents' size (diffusers: create_motion_field). */
const FIELD = 512;

/** Motion of a frame, in pixels of a picture of 512 x 512. */
export interface Motion {
  x: number;
  y: number;
}

/**
 * Moves each sample of [n, c, h, w] by its own motion: every value is that of the nearest place which it came from, and
 * what comes from outside is mirrored at the edge. The arithmetic is in fp32 step by step, as ties decide which latent
 * is the nearest one (diffusers: warp_single_latent; PyTorch: interpolate, grid_sample).
 */
export function warpLatents({ data, shape }: Tensor, motions: readonly Motion[]): Tensor {
  const [samples = 0, channels = 0, height = 0, width = 0] = shape;
  const out = new Float32Array(data.length);
  for (let n = 0; n < samples; n++) {
    const { x, y } = motions[n] as Motion;
    const columns = sources(width, x);
    const rows = sources(height, y);
    for (let c = 0; c < channels; c++) {
      const plane = (n * channels + c) * height * width;
      for (const [i, row] of rows.entries()) {
        for (const [j, column] of columns.entries()) {
          out[plane + i * width + j] = data[plane + row * width + column] as number;
        }
      }
    }
  }
  return { data: out, shape };
}

/** Along an axis, the latent that each latent comes from. */
function sources(size: number, motion: number): number[] {
  return Array.from({ length: size }, (_, i) => nearest(coordinate(i, size, motion), size));
}

/** Where latent i comes from, in the field's coordinates from -1 to 1, interpolated to the latents' size. */
function coordinate(i: number, size: number, motion: number): number {
  const at = (pixel: number) => f32(f32(f32(pixel + f32(motion)) / FIELD) * 2 - 1);
  const scale = f32(FIELD / size);
  const place = Math.max(0, f32(f32(scale * f32(i + 0.5)) - 0.5));
  const low = Math.min(Math.trunc(place), FIELD - 1);
  const high = Math.min(low + 1, FIELD - 1);
  const weight = f32(place - low);
  return f32(f32(f32(1 - weight) * at(low)) + f32(weight * at(high)));
}

/** grid_sample's nearest source, reflected at the outer edges of the border pixels. */
function nearest(coordinate: number, size: number): number {
  const place = f32(f32(f32(f32(coordinate + 1) * size) - 1) / 2);
  const distance = Math.abs(f32(place + 0.5));
  const extra = f32(distance % size);
  const flips = Math.floor(distance / size);
  const inside = flips % 2 === 0 ? f32(extra - 0.5) : f32(f32(size - extra) - 0.5);
  return roundHalfEven(Math.min(size - 1, Math.max(0, inside)));
}
