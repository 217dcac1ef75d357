const f32 = Math.fround;

/** sigma = sqrt((1 - a) / a) of every training step, in single precision as diffusers holds them. */
export function trainingSigmas(alphasCumprod: Float64Array): Float64Array {
  return alphasCumprod.map((a) => f32(Math.sqrt(f32(f32(1 - a) / a))));
}

/** The sigma of a fractional timestep, linear between the training steps and constant beyond them. */
export function sigmaOfTimestep(timestep: number, sigmas: Float64Array): number {
  const last = sigmas.length - 1;
  if (timestep <= 0) return sigmas[0] as number;
  if (timestep >= last) return sigmas[last] as number;
  const below = Math.floor(timestep);
  const low = sigmas[below] as number;
  return low + ((sigmas[below + 1] as number) - low) * (timestep - below);
}

/** The fractional timestep of a sigma, linear in log sigma between the training steps and clamped to their ends. */
export function timestepOfSigma(sigma: number, logSigmas: Float64Array): number {
  // numpy computes with single precision here, which decides some roundings to whole timesteps.
  const logSigma = f32(Math.log(Math.max(sigma, 1e-10)));
  // The last training step that is not above it; they rise.
  let low = 0;
  let end = logSigmas.length - 1;
  while (end - low > 1) {
    const middle = (low + end) >> 1;
    if ((logSigmas[middle] as number) <= logSigma) low = middle;
    else end = middle;
  }
  const lowLog = logSigmas[low] as number;
  const weight = f32(f32(lowLog - logSigma) / f32(lowLog - (logSigmas[low + 1] as number)));
  const clipped = Math.min(Math.max(weight, 0), 1);
  return (1 - clipped) * low + clipped * (low + 1);
}

/** Smallest positive number in half precision. */
const TINY_ALPHA = 2 ** -24;

/** Keeps the sigma of a training step without any signal finite, as diffusers does: 4096. */
export function floorLastAlpha(alphasCumprod: Float64Array): void {
  const last = alphasCumprod.length - 1;
  if (alphasCumprod[last] === 0) alphasCumprod[last] = TINY_ALPHA;
}

export function logSigmas(sigmas: Float64Array): Float64Array {
  return sigmas.map((s) => f32(Math.log(s)));
}

/** The variance-preserving scales of x = alpha * x0 + sigma * noise whose quotient is `sigma`. */
export function alphaSigma(sigma: number): { alpha: number; sigma: number } {
  const alpha = 1 / Math.sqrt(sigma * sigma + 1);
  return { alpha, sigma: sigma * alpha };
}

/** log(alpha / sigma) for a sigma of the kind above: half the log signal-to-noise ratio. */
export function lambdaOf(sigma: number): number {
  return -Math.log(sigma);
}
