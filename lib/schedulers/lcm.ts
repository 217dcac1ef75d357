import { invalidArgument } from '../errors.js';
import { readX0Limit, THRESHOLD_DEFAULTS, type X0Limit } from './clipping.js';
import { type CompileOptions, optionInRange, resolveSteps } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import { combine, slot } from './linear.js';
import { predictX0 } from './prediction.js';
import { Scheduler } from './scheduler.js';
import type { RunContext, Schedule, SchedulerClass } from './scheduler-class.js';
import { TIMESTEP_SPACINGS } from './spacing.js';

/** Half the standard deviation of the data, as the consistency models of EDM assume it. */
const SIGMA_DATA = 0.5;

/**
 * Multistep sampling of latent consistency models (Luo et al. 2023): each step jumps to x0 and noise leads back to the
 * next timestep, a subset of the ones that the model was distilled on. A row leaves the denoised latent in x0.
 * timestep_spacing is kept but has no effect.
 */
export class LCMScheduler extends Scheduler {
  static override readonly className: string = 'LCMScheduler';
  static override readonly runOptions: SchedulerClass['runOptions'] = ['originalInferenceSteps', 'strength'];
  static override readonly defaults: SchedulerConfig = {
    ...TRAINING_DEFAULTS,
    beta_start: 0.00085,
    beta_end: 0.012,
    beta_schedule: 'scaled_linear',
    original_inference_steps: 50,
    clip_sample: false,
    clip_sample_range: 1,
    ...THRESHOLD_DEFAULTS,
    set_alpha_to_one: true,
    timestep_spacing: 'leading',
    timestep_scaling: 10,
    rescale_betas_zero_snr: false,
  };

  readonly #limit: X0Limit;
  readonly #scaling: number;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.#limit = readX0Limit(this.fields);
    this.#scaling = this.fields.number('timestep_scaling');
    this.fields.flag('set_alpha_to_one');
    this.fields.choice('timestep_spacing', TIMESTEP_SPACINGS);
    this.fields.integer('original_inference_steps', 1, this.trainSteps);
  }

  protected override schedule(options: CompileOptions): Schedule {
    const steps = resolveSteps(this.className, options, this.trainSteps, ['timesteps']);
    if (options.timesteps) return { timesteps: [...options.timesteps] };
    const original = options.originalInferenceSteps ?? this.fields.number('original_inference_steps');
    if (!Number.isInteger(original) || original < 1 || original > this.trainSteps) {
      const range = `must be a whole number from 1 to ${this.trainSteps}`;
      throw invalidArgument('originalInferenceSteps', `${range}, got ${original}`);
    }
    const count = Math.floor(original * optionInRange('strength', options.strength, 1, 0, 1));
    if (steps > count) {
      const message = `must not be more than the ${count} steps the model was distilled on, got ${steps}`;
      throw invalidArgument('steps', `${message}; see original_inference_steps`);
    }
    const stride = Math.floor(this.trainSteps / original);
    const origin = Array.from({ length: count }, (_, i) => (count - i) * stride - 1);
    const pick = (_: unknown, i: number) => origin[Math.floor(i * (count / steps))] as number;
    return { timesteps: Array.from({ length: steps }, pick) };
  }

  protected override emit({ timesteps, start, builder }: RunContext): void {
    for (let i = start; i < timesteps.length; i++) {
      const timestep = timesteps[i] as number;
      const alpha = this.alphaAt(timestep);
      const next = timesteps[i + 1];
      const alphaNext = next === undefined ? 1 : this.alphaAt(next);
      const scaled = timestep * this.#scaling;
      const square = scaled ** 2 + SIGMA_DATA ** 2;
      const x0 = predictX0(this.predictionType, { alpha: Math.sqrt(alpha), sigma: Math.sqrt(1 - alpha) });
      builder.add({
        timestep,
        x0: { ...x0, ...this.#limit },
        assign: [
          ['x0', combine([scaled / Math.sqrt(square), slot('x0')], [SIGMA_DATA ** 2 / square, slot('x')])],
          ['x', combine([Math.sqrt(alphaNext), slot('x0')], [Math.sqrt(1 - alphaNext), slot('noise')])],
        ],
        noise: next === undefined ? undefined : builder.draw(),
      });
    }
  }
}
