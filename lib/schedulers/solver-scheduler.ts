import { roundHalfEven } from '../math/numpy.js';
import { readThreshold, THRESHOLD_DEFAULTS, type X0Limit } from './clipping.js';
import { type CompiledRow, type CompileOptions, type NoiseLevel, resolveSteps } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import type { Linear } from './linear.js';
import { epsilonFromX0, type NoiseScales, predictEpsilon, predictX0 } from './prediction.js';
import { Scheduler } from './scheduler.js';
import type { Schedule } from './scheduler-class.js';
import { FINAL_SIGMAS, SIGMA_SPACING_DEFAULTS, type SigmaSpacing, spaceSigmas } from './sigma-spacing.js';
import {
  alphaSigma,
  floorLastAlpha,
  logSigmas,
  sigmaOfTimestep,
  timestepOfSigma,
  trainingSigmas,
} from './sigmas.js';
import { spaceSolverTimesteps, TIMESTEP_SPACINGS, type TimestepSpacing } from './spacing.js';

const f32 = Math.fround;

export const SOLVER_DEFAULTS = {
  ...TRAINING_DEFAULTS,
  ...THRESHOLD_DEFAULTS,
  ...SIGMA_SPACING_DEFAULTS,
  sigma_min: null,
  sigma_max: null,
  solver_order: 2,
  lower_order_final: true,
  timestep_spacing: 'linspace',
  final_sigmas_type: 'zero',
  rescale_betas_zero_snr: false,
} satisfies SchedulerConfig;

/**
 * Base of the multistep solvers of the diffusion ODE in log-SNR time (DPM-Solver, UniPC). Latents are variance
 * preserving; sigmas holds sigma / alpha per step and ends with zero or, with final_sigmas_type sigma_min, with the
 * lowest training sigma.
 */
export abstract class SolverScheduler extends Scheduler {
  protected readonly solverOrder: number;
  protected readonly lowerOrderFinal: boolean;
  /** Whether the last step removes all noise. */
  protected readonly endsAtZero: boolean;
  readonly #spacing: TimestepSpacing;
  readonly #threshold: X0Limit;
  readonly #sigmas: Float64Array;
  readonly #logSigmas: Float64Array;

  constructor(config: SchedulerConfig | undefined, maxOrder: number) {
    super(config);
    this.solverOrder = this.fields.integer('solver_order', 1, maxOrder);
    this.lowerOrderFinal = this.fields.flag('lower_order_final');
    this.endsAtZero = this.fields.choice('final_sigmas_type', FINAL_SIGMAS) === 'zero';
    this.#spacing = this.fields.choice('timestep_spacing', TIMESTEP_SPACINGS);
    this.#threshold = readThreshold(this.fields);
    floorLastAlpha(this.alphasCumprod);
    this.#sigmas = trainingSigmas(this.alphasCumprod);
    this.#logSigmas = logSigmas(this.#sigmas);
    this.#sigmaRange();
  }

  /** How many training steps the spacing may use, from the lowest. */
  protected lastTimestep(): number {
    return this.trainSteps;
  }

  /** The whole timestep that the U-Net gets for a fractional one. */
  protected wholeTimestep(timestep: number, spacing: SigmaSpacing | undefined): number {
    return spacing === 'exponential' || spacing === 'beta' ? Math.trunc(timestep) : roundHalfEven(timestep);
  }

  protected override schedule(options: CompileOptions): Schedule & { sigmas: number[] } {
    const { trainSteps } = this;
    const steps = resolveSteps(this.className, options, trainSteps, ['timesteps', 'sigmas']);
    const spacing = this.sigmaSpacing(options);
    if (options.sigmas) return this.#fromSigmas(options.sigmas, undefined);
    if (spacing) {
      // Lu's spacing has no range of its own in diffusers either.
      const [min, max] = spacing === 'lu' ? [null, null] : this.#sigmaRange();
      const [low, high] = [this.#sigmas[0] as number, this.#sigmas.at(-1) as number];
      return this.#fromSigmas(spaceSigmas(spacing, max ?? high, min ?? low, steps), spacing);
    }
    const stepsOffset = this.fields.number('steps_offset');
    const lastTimestep = this.lastTimestep();
    const timesteps = options.timesteps
      ? [...options.timesteps]
      : spaceSolverTimesteps({ spacing: this.#spacing, steps, trainSteps, stepsOffset, lastTimestep });
    const sigmas = timesteps.map((t) => f32(sigmaOfTimestep(t, this.#sigmas)));
    return { timesteps, sigmas: [...sigmas, this.endsAtZero ? 0 : (this.#sigmas[0] as number)] };
  }

  #fromSigmas(
    sigmas: readonly number[],
    spacing: SigmaSpacing | undefined,
  ): { timesteps: number[]; sigmas: number[] } {
    const timesteps = sigmas.map((sigma) =>
      this.wholeTimestep(timestepOfSigma(sigma, this.#logSigmas), spacing),
    );
    const lowest = this.lowestSigma(sigmas.at(-1) as number, this.#sigmas[0] as number);
    return { timesteps, sigmas: [...sigmas, this.endsAtZero ? 0 : lowest].map(f32) };
  }

  /** What final_sigmas_type sigma_min means after sigmas of a spacing, of which `spaced` is the last. */
  protected lowestSigma(spaced: number, _trained: number): number {
    return spaced;
  }

  /** sigma_min and sigma_max where the configuration sets them. */
  #sigmaRange(): [min: number | null, max: number | null] {
    return [this.fields.optionalPositive('sigma_min'), this.fields.optionalPositive('sigma_max')];
  }

  /** `order`, or less where neighbouring calls have the same sigma and so no slope between them. */
  protected usableOrder(sigmas: readonly number[], call: number, order: number): number {
    let usable = 1;
    while (usable < order && sigmas[call - usable] !== sigmas[call - usable + 1]) usable++;
    return usable;
  }

  protected override noiseLevel({ sigmas = [] }: Schedule, call: number): NoiseLevel {
    const { alpha, sigma } = alphaSigma(sigmas[call] as number);
    return { sqrtAlpha: alpha, sigma };
  }

  protected x0Stage(scales: NoiseScales): CompiledRow['x0'] {
    return { ...predictX0(this.predictionType, scales), ...this.#threshold };
  }

  /** The predicted noise, from x and m or, if x0 is thresholded, from that. */
  protected epsilon(scales: NoiseScales, fromX0 = this.#threshold.threshold !== undefined): Linear {
    return fromX0 ? epsilonFromX0(scales) : predictEpsilon(this.predictionType, scales);
  }
}
