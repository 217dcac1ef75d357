import { linspace32 } from './betas.js';
import { type CompileOptions, type NoiseLevel, resolveSteps } from './compiled.js';
import type { SchedulerConfig } from './config.js';
import { Scheduler } from './scheduler.js';
import type { Schedule } from './scheduler-class.js';
import { FINAL_SIGMAS, type SigmaSpacing, spaceSigmas } from './sigma-spacing.js';
import { floorLastAlpha, logSigmas, sigmaOfTimestep, timestepOfSigma, trainingSigmas } from './sigmas.js';
import { spaceFractionalTimesteps, TIMESTEP_SPACINGS, type TimestepSpacing } from './spacing.js';

const f32 = Math.fround;

/**
 * Base of the k-diffusion samplers (Karras et al. 2022): latents are x0 + sigma * noise, unscaled, and the U-Net gets
 * x / sqrt(sigma^2 + 1). sigmas has one value per step and a final one, which is zero unless the configuration says
 * otherwise.
 */
export abstract class SigmaScheduler extends Scheduler {
  protected readonly spacing: TimestepSpacing;
  readonly #sigmas: Float64Array;
  readonly #logSigmas: Float64Array;
  readonly #last: number;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.spacing = this.fields.choice('timestep_spacing', TIMESTEP_SPACINGS);
    floorLastAlpha(this.alphasCumprod);
    this.#sigmas = trainingSigmas(this.alphasCumprod);
    this.#logSigmas = logSigmas(this.#sigmas);
    this.#sigmaRange();
    const final = this.owns('final_sigmas_type')
      ? this.fields.choice('final_sigmas_type', FINAL_SIGMAS)
      : 'zero';
    this.#last = final === 'zero' ? 0 : (this.#sigmas[0] as number);
  }

  protected override schedule(options: CompileOptions): Schedule & { sigmas: number[] } {
    const { trainSteps } = this;
    const steps = resolveSteps(this.className, options, trainSteps, ['timesteps', 'sigmas']);
    if (options.sigmas) {
      const own = options.sigmas.map((sigma) => this.timestepOf(sigma));
      return this.#finish(own, options.sigmas);
    }
    const stepsOffset = this.fields.number('steps_offset');
    const timesteps =
      options.timesteps?.map(f32) ??
      spaceFractionalTimesteps({ spacing: this.spacing, steps, trainSteps, stepsOffset }).map((t) =>
        this.heldTimestep(t),
      );
    const sigmas = this.sigmasOf(timesteps);
    const sigmaSpacing = this.sigmaSpacing(options);
    if (!sigmaSpacing) return this.#finish(timesteps, sigmas);
    const [min, max] = this.ignoresRange(sigmaSpacing) ? [null, null] : this.#sigmaRange();
    const [first, last] = [sigmas[0] as number, sigmas.at(-1) as number];
    const spaced = spaceSigmas(sigmaSpacing, max ?? first, min ?? last, steps);
    const between = spaced.map((sigma) => this.spacedTimestep(this.timestepOf(sigma), sigmaSpacing));
    return this.#finish(between, spaced);
  }

  /** A timestep as its sigma is read off: in single precision, in most classes. */
  protected heldTimestep(timestep: number): number {
    return f32(timestep);
  }

  /** The fractional timestep of a sigma. */
  protected timestepOf(sigma: number): number {
    return timestepOfSigma(sigma, this.#logSigmas);
  }

  /** What the U-Net gets for the timestep of a sigma of a spacing. */
  protected spacedTimestep(timestep: number, _spacing: SigmaSpacing): number {
    return timestep;
  }

  /** The sigmas of timesteps. */
  protected sigmasOf(timesteps: readonly number[]): number[] {
    return timesteps.map((t) => sigmaOfTimestep(t, this.#sigmas));
  }

  /** `count` sigmas over the whole training range, evenly spaced in log sigma, in single precision. */
  protected logLinearSigmas(count: number): number[] {
    const [min, max] = [this.#logSigmas[0] as number, this.#logSigmas.at(-1) as number];
    return Array.from(linspace32(max, min, count), (log) => f32(Math.exp(log)));
  }

  /** Whether sigma_min and sigma_max have no effect on a spacing. */
  protected ignoresRange(_spacing: SigmaSpacing): boolean {
    return false;
  }

  /** sigma_min and sigma_max where the configuration sets them. */
  #sigmaRange(): [min: number | null, max: number | null] {
    return [this.fields.optionalPositive('sigma_min'), this.fields.optionalPositive('sigma_max')];
  }

  #finish(timesteps: readonly number[], sigmas: readonly number[]): Schedule & { sigmas: number[] } {
    return { timesteps: timesteps.map(f32), sigmas: [...sigmas.map(f32), this.#last] };
  }

  protected override initNoiseSigma({ sigmas = [] }: Schedule): number {
    const max = sigmas.reduce((a, b) => Math.max(a, b), 0);
    return this.spacing === 'leading' ? Math.sqrt(max * max + 1) : max;
  }

  protected override noiseLevel({ sigmas = [] }: Schedule, call: number): NoiseLevel {
    return { sqrtAlpha: 1, sigma: sigmas[call] as number };
  }
}

/** What x is multiplied by before the U-Net sees it. */
export function inputScale(sigma: number): number {
  return 1 / Math.sqrt(sigma * sigma + 1);
}
