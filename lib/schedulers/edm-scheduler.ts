import { linspace } from '../math/numpy.js';
import { linspace32 } from './betas.js';
import { type CompiledRow, type CompileOptions, type NoiseLevel, resolveSteps } from './compiled.js';
import type { SchedulerConfig } from './config.js';
import type { PredictionType } from './prediction.js';
import { Scheduler } from './scheduler.js';
import type { Schedule } from './scheduler-class.js';
import { FINAL_SIGMAS } from './sigma-spacing.js';

const f32 = Math.fround;
const SIGMA_SCHEDULES = ['karras', 'exponential'] as const;

export const EDM_DEFAULTS = {
  sigma_min: 0.002,
  sigma_max: 80,
  sigma_data: 0.5,
  sigma_schedule: 'karras',
  num_train_timesteps: 1000,
  prediction_type: 'epsilon',
  rho: 7,
  final_sigmas_type: 'zero',
} satisfies SchedulerConfig;

/**
 * Base of the samplers for models with the preconditioning of EDM (Karras et al. 2022, table 1): latents are
 * x0 + sigma * noise, the U-Net sees them with the data's variance, and its output is mixed with them to x0. Playground
 * v2.5 is such a model. The noise levels are the configuration's, not those of a training table.
 */
export abstract class EdmScheduler extends Scheduler {
  readonly #min: number;
  readonly #max: number;
  readonly #data: number;
  readonly #rho: number;
  readonly #isKarras: boolean;
  protected readonly endsAtZero: boolean;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.#min = this.fields.positive('sigma_min');
    this.#max = this.fields.positive('sigma_max');
    if (this.#max < this.#min) throw this.fields.error('sigma_max', 'must not be below sigma_min');
    this.#data = this.fields.positive('sigma_data');
    this.#rho = this.fields.positive('rho');
    this.#isKarras = this.fields.choice('sigma_schedule', SIGMA_SCHEDULES) === 'karras';
    this.endsAtZero = this.fields.choice('final_sigmas_type', FINAL_SIGMAS) === 'zero';
  }

  protected override predictionTypes(): readonly PredictionType[] {
    return ['epsilon', 'v_prediction'];
  }

  protected override schedule(options: CompileOptions): Schedule & { sigmas: number[] } {
    return this.along(linspace(0, 1, resolveSteps(this.className, options, this.trainSteps, [])));
  }

  /** The schedule of a ramp from 0 for sigma_max to 1 for sigma_min; of an exponential one the length is what counts. */
  protected along(ramp: readonly number[]): Schedule & { sigmas: number[] } {
    const sigmas = (this.#isKarras ? this.#karras(ramp) : this.#exponential(ramp.length)).map(f32);
    const last = this.endsAtZero ? 0 : this.lastSigma(sigmas.at(-1) as number, this.#min);
    const timesteps = sigmas.map((sigma) => f32(this.timestepOf(sigma)));
    return { timesteps, sigmas: [...sigmas, f32(last)] };
  }

  /** Where final_sigmas_type sigma_min leads. */
  protected lastSigma(_spaced: number, min: number): number {
    return min;
  }

  /** What the U-Net gets for a timestep. */
  protected timestepOf(sigma: number): number {
    return 0.25 * Math.log(sigma);
  }

  #karras(ramp: readonly number[]): number[] {
    const [high, low] = [this.#max ** (1 / this.#rho), this.#min ** (1 / this.#rho)];
    return ramp.map((place) => (high + place * (low - high)) ** this.#rho);
  }

  #exponential(count: number): number[] {
    return Array.from(linspace32(Math.log(this.#min), Math.log(this.#max), count), Math.exp).reverse();
  }

  /** What x is multiplied by before the U-Net sees it. */
  protected inputScale(sigma: number): number {
    return 1 / Math.hypot(sigma, this.#data);
  }

  /** x0 from the latents and the output. */
  protected x0Stage(sigma: number): CompiledRow['x0'] {
    const [square, data] = [sigma ** 2 + this.#data ** 2, this.#data];
    const sign = this.predictionType === 'v_prediction' ? -1 : 1;
    return { x: data ** 2 / square, m: (sign * sigma * data) / Math.sqrt(square) };
  }

  protected override initNoiseSigma(): number {
    return Math.hypot(this.#max, 1);
  }

  protected override noiseLevel({ sigmas = [] }: Schedule, call: number): NoiseLevel {
    return { sqrtAlpha: 1, sigma: sigmas[call] as number };
  }
}
