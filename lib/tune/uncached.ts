import type { NoiseLevel } from '../schedulers/index.js';

/** Values of each picture's latents that are looked at: errors are sums over many, and a part of them tells enough. */
const SAMPLED = 4096;

/** What the model found at each call of an uncached run. */
export interface UncachedRun {
  calls: number;
  pictures: number;
  /** For each call its predicted noise, some values of each picture: z of x = alpha x0 + sigma z. */
  noise: Float32Array[];
  /** The same of what it took for the clean latents. */
  clean: Float32Array[];
  /** The same of the latents after it. */
  latents: Float32Array[];
  /** Of each call. */
  levels: NoiseLevel[];
  /** Of each picture, the square of those values of its final latents. */
  squares: number[];
}

/** An uncached run as its step events told it. */
export interface Trajectory {
  /** The latents after each call. */
  latents: Float32Array[];
  /** What each call took for the clean latents. */
  denoised: Float32Array[];
  levels: NoiseLevel[];
}

/** Undefined where a call had no noise to find, as in runs that were not told everything. */
export function uncachedRun(
  { latents, denoised, levels }: Trajectory,
  pictures: number,
): UncachedRun | undefined {
  const calls = latents.length;
  const last = latents.at(-1);
  if (!last || denoised.length < calls || levels.length < calls) return undefined;
  // The latents before the first call were not told, but its step goes straight to the next level.
  const places = latents.map((_, call) => Math.max(call, 1));
  if (places.some((place) => !((levels[place]?.sigma ?? 0) > 0))) return undefined;
  const stride = Math.ceil(last.length / pictures / SAMPLED);
  const noise = places.map((place, call) => {
    const { sqrtAlpha, sigma } = levels[place] as NoiseLevel;
    const [x, x0] = [latents[place - 1] as Float32Array, denoised[call] as Float32Array];
    return sampled(
      x0.length,
      pictures,
      stride,
      (i) => ((x[i] as number) - sqrtAlpha * (x0[i] as number)) / sigma,
    );
  });
  const clean = denoised.map((x0) => sampled(x0.length, pictures, stride, (i) => x0[i] as number));
  const after = latents.map((values) => sampled(values.length, pictures, stride, (i) => values[i] as number));
  const end = after.at(-1) as Float32Array;
  const size = end.length / pictures;
  const squares = Array.from({ length: pictures }, (_, i) =>
    end.subarray(i * size, (i + 1) * size).reduce((sum, value) => sum + value * value, 0),
  );
  return { calls, pictures, noise, clean, latents: after, levels, squares };
}

/** Every `stride`-th value of each picture. */
function sampled(
  length: number,
  pictures: number,
  stride: number,
  valueAt: (i: number) => number,
): Float32Array {
  const whole = length / pictures;
  const size = Math.ceil(whole / stride);
  return Float32Array.from({ length: pictures * size }, (_, i) =>
    valueAt(Math.floor(i / size) * whole + (i % size) * stride),
  );
}
