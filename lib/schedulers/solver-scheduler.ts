import { readThreshold, THRESHOLD_DEFAULTS, type X0Limit } from './clipping.js';
import { type CompiledRow, type CompileOptions, type NoiseLevel, resolveSteps } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import type { Linear } from './linear.js';
import { epsilonFromX0, type NoiseScales, predictEpsilon, predictX0 } from './prediction.js';
import { type Schedule, Scheduler } from './scheduler.js';
import {
  alphaSigma,
  karrasSigmas,
  logSigmas,
  luSigmas,
  sigmaOfTimestep,
  timestepOfSigma,
  trainingSigmas,
} from './sigmas.js';
import { roundHalfEven, spaceSolverTimesteps, TIMESTEP_SPACINGS, type TimestepSpacing } from './spacing.js';

const f32 = Math.fround;

export const SOLVER_DEFAULTS = {
  ...TRAINING_DEFAULTS,
  ...THRESHOLD_DEFAULTS,
  solver_order: 2,
  lower_order_final: true,
  use_karras_sigmas: false,
  timestep_spacing: 'linspace',
} satisfies SchedulerConfig;

/**
 * Base of the multistep solvers of the diffusion ODE in log-SNR time (DPM-Solver, UniPC). Latents are variance
 * preserving; sigmas holds sigma / alpha per step and, in diffusers v0.24, ends above zero: with the lowest training
 * sigma, or with a repetition of the last Karras or Lu sigma, where the last step changes nothing.
 */
export abstract class SolverScheduler extends Scheduler {
  protected readonly solverOrder: number;
  protected readonly lowerOrderFinal: boolean;
  readonly #spacing: TimestepSpacing;
  readonly #karras: boolean;
  readonly #threshold: X0Limit;
  readonly #sigmas: Float64Array;
  readonly #logSigmas: Float64Array;

  constructor(config: SchedulerConfig | undefined, maxOrder: number) {
    super(config);
    this.solverOrder = this.fields.integer('solver_order', 1, maxOrder);
    this.lowerOrderFinal = this.fields.flag('lower_order_final');
    this.#spacing = this.fields.choice('timestep_spacing', TIMESTEP_SPACINGS);
    this.#karras = this.fields.flag('use_karras_sigmas');
    this.#threshold = readThreshold(this.fields);
    this.#sigmas = trainingSigmas(this.alphasCumprod);
    this.#logSigmas = logSigmas(this.#sigmas);
  }

  /** Whether the steps are uniform in log sigma. */
  protected luLambdas(): boolean {
    return false;
  }

  /** How many training steps the spacing may use, from the lowest. */
  protected lastTimestep(): number {
    return this.trainSteps;
  }

  protected override schedule(options: CompileOptions): Schedule & { sigmas: number[] } {
    const { trainSteps } = this;
    const steps = resolveSteps(this.className, options, trainSteps, ['timesteps', 'sigmas']);
    if (options.sigmas) return this.#fromSigmas(options.sigmas);
    if (!options.timesteps && this.#karras) {
      const max = this.fields.optionalNumber('sigma_max') ?? (this.#sigmas.at(-1) as number);
      const min = this.fields.optionalNumber('sigma_min') ?? (this.#sigmas[0] as number);
      return this.#fromSigmas(karrasSigmas(max, min, steps));
    }
    if (!options.timesteps && this.luLambdas()) {
      const [max, min] = [this.#logSigmas.at(-1) as number, this.#logSigmas[0] as number];
      return this.#fromSigmas(luSigmas(max, min, steps));
    }
    const stepsOffset = this.fields.number('steps_offset');
    const lastTimestep = this.lastTimestep();
    const spacing = { spacing: this.#spacing, steps, trainSteps, stepsOffset, lastTimestep };
    const timesteps = options.timesteps ? [...options.timesteps] : spaceSolverTimesteps(spacing);
    const sigmas = timesteps.map((t) => f32(sigmaOfTimestep(t, this.#sigmas)));
    return { timesteps, sigmas: [...sigmas, this.#sigmas[0] as number] };
  }

  #fromSigmas(sigmas: readonly number[]): { timesteps: number[]; sigmas: number[] } {
    const timesteps = sigmas.map((sigma) => roundHalfEven(timestepOfSigma(sigma, this.#logSigmas)));
    return { timesteps, sigmas: [...sigmas, sigmas.at(-1) as number].map(f32) };
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
