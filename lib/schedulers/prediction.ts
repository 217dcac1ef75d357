import type { Linear } from './linear.js';

/** What the U-Net's output means, to most samplers. */
export const PREDICTION_TYPES = ['epsilon', 'sample', 'v_prediction'] as const;
/** The same, with the velocity noise - x0 of flow matching (Lipman et al. 2023), for the samplers that know it. */
export const FLOW_PREDICTION_TYPES = [...PREDICTION_TYPES, 'flow_prediction'] as const;
export type PredictionType = (typeof FLOW_PREDICTION_TYPES)[number];

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
    case 'flow_prediction':
      return { x: 1, m: -sigma };
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
    case 'flow_prediction':
      return { m: alpha, x: 1 };
  }
}

/** The noise that a given (clipped) x0 leaves, from the slots x and x0. */
export function epsilonFromX0({ alpha, sigma }: NoiseScales): Linear {
  return { x: 1 / sigma, x0: -alpha / sigma };
}

/**
 * {@link predictX0} for latents of the form x = x0 + sigma * noise (the k-diffusion samplers); a flow's velocity is the
 * slope of its latents, x = x0 + sigma * (noise - x0).
 */
export function predictX0Unscaled(type: PredictionType, sigma: number): { x: number; m: number } {
  switch (type) {
    case 'epsilon':
    case 'flow_prediction':
      return { x: 1, m: -sigma };
    case 'sample':
      return { x: 0, m: 1 };
    case 'v_prediction':
      return { x: 1 / (sigma * sigma + 1), m: -sigma / Math.sqrt(sigma * sigma + 1) };
  }
}
