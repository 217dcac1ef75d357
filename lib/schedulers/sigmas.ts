import { linspace } from './spacing.js';

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
  const logSigma = Math.log(Math.max(sigma, 1e-10));
  let low = 0;
  while (low + 2 < logSigmas.length && (logSigmas[low + 1] as number) <= logSigma) low++;
  const lowLog = logSigmas[low] as number;
  // The difference of two single precision numbers is one in numpy; that decides some roundings to whole timesteps.
  const weight = (lowLog - logSigma) / f32(lowLog - (logSigmas[low + 1] as number));
  const clipped = Math.min(Math.max(weight, 0), 1);
  return (1 - clipped) * low + clipped * (low + 1);
}

export function logSigmas(sigmas: Float64Array): Float64Array {
  return sigmas.map((s) => f32(Math.log(s)));
}

/** `count` sigmas from high to low, evenly spaced in sigma^(1/7) (Karras et al. 2022, equation 5). */
export function karrasSigmas(max: number, min: number, count: number): number[] {
  const rho = 7;
  const high = max ** (1 / rho);
  const low = min ** (1 / rho);
  return linspace(0, 1, count).map((ramp) => (high + ramp * (low - high)) ** rho);
}

/** `count` sigmas from high to low, evenly spaced in log sigma (Lu et al. 2022). */
export function luSigmas(maxLog: number, minLog: number, count: number): number[] {
  return linspace(0, 1, count).map((ramp) => Math.exp(maxLog + ramp * (minLog - maxLog)));
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
