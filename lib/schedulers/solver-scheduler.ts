import { invalidArgument } from '../errors.js';
import { roundHalfEven } from '../math/numpy.js';
import { readThreshold, THRESHOLD_DEFAULTS, type X0Limit } from './clipping.js';
import { type CompiledRow, type CompileOptions, type NoiseLevel, resolveSteps } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import type { Level } from './dpm-update.js';
import { type DynamicShift, FLOW_DEFAULTS, flowSigmas, shiftOf } from './flow-sigmas.js';
import type { Linear } from './linear.js';
import {
  epsilonFromX0,
  FLOW_PREDICTION_TYPES,
  type NoiseScales,
  type PredictionType,
  predictEpsilon,
  predictX0,
} from './prediction.js';
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

/** Fields of all of them. The spacing of the timesteps and where the last step leads are fields of some. */
export const SOLVER_DEFAULTS = {
  ...TRAINING_DEFAULTS,
  ...THRESHOLD_DEFAULTS,
  ...SIGMA_SPACING_DEFAULTS,
  ...FLOW_DEFAULTS,
  sigma_min: null,
  sigma_max: null,
  lower_order_final: true,
  timestep_spacing: 'linspace',
} satisfies SchedulerConfig;

/** Timesteps, and the sigmas of their calls with the one that the last step leads to. */
export interface SolverSchedule extends Schedule {
  sigmas: number[];
}

/**
 * Base of the solvers of the diffusion ODE in log-SNR time (DPM-Solver, UniPC, DEIS, SA-Solver). Latents are variance
 * preserving, or on a flow's straight line with use_flow_sigmas. sigmas holds sigma / alpha per step (a flow's sigma)
 * and a last one: zero or, without final_sigmas_type zero, the lowest of training; behind other spacings than by
 * timesteps, the last sigma again.
 */
export abstract class SolverScheduler extends Scheduler {
  protected readonly lowerOrderFinal: boolean;
  /** Whether the last step removes all noise. */
  protected readonly endsAtZero: boolean;
  /** Whether the latents are on a flow's line. */
  protected readonly isFlow: boolean;
  /** sigma of every training step. */
  protected readonly trainingSigmas: Float64Array;
  readonly #spacing: TimestepSpacing;
  readonly #threshold: X0Limit;
  readonly #logSigmas: Float64Array;

  constructor(config: SchedulerConfig | undefined) {
    super(config);
    this.lowerOrderFinal = this.fields.flag('lower_order_final');
    this.endsAtZero =
      this.owns('final_sigmas_type') && this.fields.choice('final_sigmas_type', FINAL_SIGMAS) === 'zero';
    this.#spacing = this.owns('timestep_spacing')
      ? this.fields.choice('timestep_spacing', TIMESTEP_SPACINGS)
      : 'linspace';
    this.isFlow = this.fields.flag('use_flow_sigmas');
    this.#threshold = readThreshold(this.fields);
    floorLastAlpha(this.alphasCumprod);
    this.trainingSigmas = trainingSigmas(this.alphasCumprod);
    this.#logSigmas = logSigmas(this.trainingSigmas);
    this.sigmaRange();
    this.fields.positive('flow_shift');
  }

  protected override predictionTypes(): readonly PredictionType[] {
    return FLOW_PREDICTION_TYPES;
  }

  /** The lists of the user's own that runs take. */
  protected listsTaken(): readonly ('timesteps' | 'sigmas')[] {
    return ['timesteps', 'sigmas'];
  }

  /** How many training steps the spacing may use, from the lowest: those above lambda_min_clipped. */
  protected lastTimestep(): number {
    const clip = this.config.lambda_min_clipped;
    if (!this.owns('lambda_min_clipped') || clip === -Infinity || clip === null) return this.trainSteps;
    const min = this.fields.number('lambda_min_clipped');
    const usable = this.alphasCumprod.filter((a) => 0.5 * Math.log(a / (1 - a)) >= min).length;
    if (usable === 0) throw this.fields.error('lambda_min_clipped', 'leaves no timestep');
    return usable;
  }

  /** The whole timestep that the U-Net gets for a fractional one. */
  protected wholeTimestep(timestep: number, spacing: SigmaSpacing | undefined): number {
    return spacing === 'exponential' || spacing === 'beta' ? Math.trunc(timestep) : roundHalfEven(timestep);
  }

  protected override schedule(options: CompileOptions): SolverSchedule {
    const { trainSteps } = this;
    const steps = resolveSteps(this.className, options, trainSteps, this.listsTaken());
    const spacing = this.sigmaSpacing(options);
    if (this.isFlow) return this.flowSchedule(steps, options, spacing);
    if (options.mu !== undefined) throw invalidArgument('mu', 'is for samplers with use_flow_sigmas');
    if (options.sigmas) return this.#fromSigmas(options.sigmas, undefined);
    if (spacing) return this.#fromSigmas(this.spacedSigmas(spacing, steps), spacing);
    const timesteps = options.timesteps ? [...options.timesteps] : this.spacedTimesteps(steps);
    const sigmas = timesteps.map((t) => f32(sigmaOfTimestep(t, this.trainingSigmas)));
    return { timesteps, sigmas: [...sigmas, this.endsAtZero ? 0 : this.lastTrainingSigma()] };
  }

  /** Timesteps from high to low. */
  protected spacedTimesteps(steps: number): number[] {
    return spaceSolverTimesteps({
      spacing: this.#spacing,
      steps,
      trainSteps: this.trainSteps,
      stepsOffset: this.owns('steps_offset') ? this.fields.number('steps_offset') : 0,
      lastTimestep: this.lastTimestep(),
    });
  }

  /** Sigmas from high to low over the whole training range, or the configuration's. */
  protected spacedSigmas(spacing: SigmaSpacing, steps: number): number[] {
    // Lu's spacing has no range of its own in diffusers either.
    const [min, max] = spacing === 'lu' ? [null, null] : this.sigmaRange();
    const [low, high] = [this.trainingSigmas[0] as number, this.trainingSigmas.at(-1) as number];
    return spaceSigmas(spacing, max ?? high, min ?? low, steps);
  }

  /** Where a schedule by timesteps ends if not at zero. */
  protected lastTrainingSigma(): number {
    return this.trainingSigmas[0] as number;
  }

  /** The schedule of a flow: the solvers of diffusers but UniPC take neither lists nor spacings there. */
  protected flowSchedule(
    steps: number,
    { timesteps, sigmas, mu }: CompileOptions,
    spacing: SigmaSpacing | undefined,
  ): SolverSchedule {
    const list = timesteps ? 'timesteps' : sigmas ? 'sigmas' : undefined;
    if (list) throw invalidArgument(list, 'of your own and use_flow_sigmas exclude each other');
    if (spacing) throw this.fields.error('use_flow_sigmas', 'and other spacings exclude each other');
    return this.finishFlow(flowSigmas(steps, this.trainSteps, this.flowShift(mu)));
  }

  protected finishFlow(levels: readonly number[]): SolverSchedule {
    const timesteps = levels.map((sigma) => Math.trunc(sigma * this.trainSteps));
    return { timesteps, sigmas: this.#withLast(levels) };
  }

  /** How far a flow's levels are shifted. */
  protected flowShift(
    mu: number | undefined,
    dynamic: DynamicShift = { needsMu: false, types: ['exponential'] },
  ): number {
    return shiftOf(this.fields, this.ownDefaults, { mu, fixed: 'flow_shift', dynamic });
  }

  #fromSigmas(sigmas: readonly number[], spacing: SigmaSpacing | undefined): SolverSchedule {
    const timesteps = sigmas.map((sigma) =>
      this.wholeTimestep(timestepOfSigma(sigma, this.#logSigmas), spacing),
    );
    return { timesteps, sigmas: this.#withLast(sigmas) };
  }

  #withLast(sigmas: readonly number[]): number[] {
    const lowest = this.lowestSigma(sigmas.at(-1) as number, this.trainingSigmas[0] as number);
    return [...sigmas, this.endsAtZero ? 0 : lowest].map(f32);
  }

  /** What final_sigmas_type sigma_min means after sigmas of a spacing, of which `spaced` is the last. */
  protected lowestSigma(spaced: number, _trained: number): number {
    return spaced;
  }

  /** sigma_min and sigma_max where the configuration sets them. */
  protected sigmaRange(): [min: number | null, max: number | null] {
    return [this.fields.optionalPositive('sigma_min'), this.fields.optionalPositive('sigma_max')];
  }

  /** `order`, or less where neighbouring calls have the same sigma and so no slope between them. */
  protected usableOrder(sigmas: readonly number[], call: number, order: number): number {
    let usable = 1;
    while (usable < order && sigmas[call - usable] !== sigmas[call - usable + 1]) usable++;
    return usable;
  }

  /** Picture and noise in the latents at a sigma. */
  protected scales(sigma: number): NoiseScales {
    return this.isFlow ? { alpha: 1 - sigma, sigma } : alphaSigma(sigma);
  }

  /** The same with lambda, log(alpha / sigma): half the log signal-to-noise ratio. */
  protected level(sigma: number): Level {
    const lambda = this.isFlow ? Math.log((1 - sigma) / sigma) : -Math.log(sigma);
    return { ...this.scales(sigma), lambda };
  }

  protected override noiseLevel({ sigmas = [] }: Schedule, call: number): NoiseLevel {
    const { alpha, sigma } = this.scales(sigmas[call] as number);
    return { sqrtAlpha: alpha, sigma };
  }

  /** How x0 is formed at a sigma. */
  protected x0Stage(sigma: number): CompiledRow['x0'] {
    // diffusers takes a flow's velocity times sigma itself, also off a flow's line.
    const scales = this.predictionType === 'flow_prediction' ? { alpha: 1, sigma } : this.scales(sigma);
    return { ...predictX0(this.predictionType, scales), ...this.#threshold };
  }

  /** The predicted noise, from x and m or, if x0 is thresholded, from that. */
  protected epsilon(scales: NoiseScales, fromX0 = this.#threshold.threshold !== undefined): Linear {
    // See x0Stage: off a flow's line its velocity is none.
    if (this.predictionType === 'flow_prediction' && !this.isFlow) return epsilonFromX0(scales);
    return fromX0 ? epsilonFromX0(scales) : predictEpsilon(this.predictionType, scales);
  }

  /** For the solvers that integrate the noise, which in diffusers do not know a flow's velocity. */
  protected refuseFlowPrediction(why: string): void {
    if (this.predictionType !== 'flow_prediction') return;
    throw this.fields.error('prediction_type', `must not be flow_prediction with ${why}`);
  }
}
