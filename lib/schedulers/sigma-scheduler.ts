import { type CompileOptions, type NoiseLevel, resolveSteps } from './compiled.js';
import type { SchedulerConfig } from './config.js';
import { type Schedule, Scheduler } from './scheduler.js';
import { karrasSigmas, logSigmas, sigmaOfTimestep, timestepOfSigma, trainingSigmas } from './sigmas.js';
import { spaceFractionalTimesteps, TIMESTEP_SPACINGS, type TimestepSpacing } from './spacing.js';

const f32 = Math.fround;

/**
 * Base of the k-diffusion samplers (Karras et al. 2022): latents are x0 + sigma * noise, unscaled, and the U-Net gets
 * x / sqrt(sigma^2 + 1). sigmas has one value per step and a final zero.
 */
export abstract class SigmaScheduler extends Scheduler {
  protected readonly spacing: TimestepSpacing;
  readonly #sigmas: Float64Array;
  readonly #logSigmas: Float64Array;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.spacing = this.fields.choice('timestep_spacing', TIMESTEP_SPACINGS);
    this.#sigmas = trainingSigmas(this.alphasCumprod);
    this.#logSigmas = logSigmas(this.#sigmas);
    this.karras();
  }

  protected override schedule(options: CompileOptions): Schedule & { sigmas: number[] } {
    const { trainSteps } = this;
    const steps = resolveSteps(this.className, options, trainSteps, ['timesteps', 'sigmas']);
    const timestepOf = (sigma: number) => timestepOfSigma(sigma, this.#logSigmas);
    if (options.sigmas) return finish(options.sigmas.map(timestepOf), options.sigmas);
    const stepsOffset = this.fields.number('steps_offset');
    const timesteps =
      options.timesteps?.map(f32) ??
      spaceFractionalTimesteps({ spacing: this.spacing, steps, trainSteps, stepsOffset });
    const sigmas = timesteps.map((t) => sigmaOfTimestep(t, this.#sigmas));
    if (options.timesteps || !this.karras()) return finish(timesteps, sigmas);
    const [min, max] = this.sigmaRange();
    const spaced = karrasSigmas(max ?? (sigmas[0] as number), min ?? (sigmas.at(-1) as number), steps);
    return finish(spaced.map(timestepOf), spaced);
  }

  protected karras(): boolean {
    return this.fields.flag('use_karras_sigmas');
  }

  /** sigma_min and sigma_max of the Karras spacing where the configuration sets them. */
  protected sigmaRange(): [min: number | null, max: number | null] {
    return [this.fields.optionalNumber('sigma_min'), this.fields.optionalNumber('sigma_max')];
  }

  protected override initNoiseSigma({ sigmas = [] }: Schedule): number {
    const max = Math.max(...sigmas);
    return this.spacing === 'leading' ? Math.sqrt(max * max + 1) : max;
  }

  protected override noiseLevel({ sigmas = [] }: Schedule, call: number): NoiseLevel {
    return { sqrtAlpha: 1, sigma: sigmas[call] as number };
  }
}

function finish(timesteps: readonly number[], sigmas: readonly number[]): Schedule & { sigmas: number[] } {
  return { timesteps: timesteps.map(f32), sigmas: [...sigmas.map(f32), 0] };
}

/** What x is multiplied by before the U-Net sees it. */
export function inputScale(sigma: number): number {
  return 1 / Math.sqrt(sigma * sigma + 1);
}
