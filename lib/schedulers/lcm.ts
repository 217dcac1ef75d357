import { readX0Limit, type X0Limit } from './clipping.js';
import type { CompileOptions } from './compiled.js';
import type { SchedulerConfig } from './config.js';
import { DISTILLED_DEFAULTS, distilledTimesteps } from './distilled-timesteps.js';
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
  static override readonly defaults: SchedulerConfig = DISTILLED_DEFAULTS;

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
    const { className, trainSteps } = this;
    const original = this.fields.number('original_inference_steps');
    return { timesteps: distilledTimesteps(options, { className, trainSteps, original, opensAll: false }) };
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
