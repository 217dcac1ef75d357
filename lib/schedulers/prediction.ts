import type { Linear } from './linear.js';

/** What the U-Net's output means. */
export const PREDICTION_TYPES = ['epsilon', 'sample', 'v_prediction'] as const;
export type PredictionType = (typeof PREDICTION_TYPES)[number];

/** How much picture and how much noise is in a latent: x = alpha * x0 + sigma * noise. */
export interface NoiseScales {
  alpha: number;
  sigma: number;
}

/** x0 from the latent and the output, as coefficients of the slots x and m, before any clipping. */
export function predictX0(type: PredictionType, { alpha, sigma }: NoiseScales): { x: number; m: number } {
  switch (type) {
    case 'epsilon':
      return { x: 1 / alpha, m: -sigma / alpha };
    case 'sample':
      return { x: 0, m: 1 };
    case 'v_prediction':
      return { x: alpha, m: -sigma };
  }
}

/** The predicted noise from the latent and the output, x0 being unclipped. */
export function predictEpsilon(type: PredictionType, { alpha, sigma }: NoiseScales): Linear {
  switch (type) {
    case 'epsilon':
      return { m: 1 };
    case 'sample':
      return { x: 1 / sigma, m: -alpha / sigma };
    case 'v_prediction':
      return { m: alpha, x: sigma };
  }
}

/** The noise that a given (clipped) x0 leaves, from the slots x and x0. */
export function epsilonFromX0({ alpha, sigma }: NoiseScales): Linear {
  return { x: 1 / sigma, x0: -alpha / sigma };
}

/** {@link predictX0} for latents of the form x = x0 + sigma * noise (the k-diffusion samplers). */
export function predictX0Unscaled(type: PredictionType, sigma: number): { x: number; m: number } {
  switch (type) {
    case 'epsilon':
      return { x: 1, m: -sigma };
    case 'sample':
      return { x: 0, m: 1 };
    case 'v_prediction':
      return { x: 1 / (sigma * sigma + 1), m: -sigma / Math.sqrt(sigma * sigma + 1) };
  }
}
