/** Steps of ten that were optimised for a kind of model. */
interface OptimisedSteps {
  /** Timesteps, for samplers that walk along them. */
  timesteps?: readonly number[];
  /** Noise levels, for those that take sigmas; the 0 behind them is left out. */
  sigmas: readonly number[];
}

/**
 * Align Your Steps (Sabour et al. 2024): ten steps for each kind of model, as the authors published them and diffusers'
 * AysSchedules lists them. Runs take them as `timesteps: 'AYS'` and `sigmas: 'AYS'`.
 */
export const ALIGN_YOUR_STEPS = {
  /** Stable Diffusion 1.x. */
  sd: {
    timesteps: [999, 850, 736, 645, 545, 455, 343, 233, 124, 24],
    sigmas: [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152],
  },
  /** Stable Diffusion XL. */
  xl: {
    timesteps: [999, 845, 730, 587, 443, 310, 193, 116, 53, 13],
    sigmas: [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.38, 0.234, 0.113],
  },
  /** Stable Video Diffusion. */
  svd: { sigmas: [700, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034] },
} as const satisfies Record<string, OptimisedSteps>;
