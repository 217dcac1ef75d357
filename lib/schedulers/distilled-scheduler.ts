import { readX0Limit, type X0Limit } from './clipping.js';
import type { CompileOptions } from './compiled.js';
import type { SchedulerConfig } from './config.js';
import { DISTILLED_DEFAULTS, distilledTimesteps } from './distilled-timesteps.js';
import { Scheduler } from './scheduler.js';
import type { Schedule, SchedulerClass } from './scheduler-class.js';
import { TIMESTEP_SPACINGS } from './spacing.js';

/** Base of the samplers of models that were distilled on few timesteps, of which a run takes some. */
export abstract class DistilledScheduler extends Scheduler {
  static override readonly runOptions: SchedulerClass['runOptions'] = ['originalInferenceSteps', 'strength'];
  static override readonly defaults: SchedulerConfig = DISTILLED_DEFAULTS;

  /** See {@link Distillation.opensAll}. */
  protected abstract readonly opensAll: boolean;
  protected readonly limit: X0Limit;
  protected readonly scaling: number;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.limit = readX0Limit(this.fields);
    this.scaling = this.fields.number('timestep_scaling');
    this.fields.flag('set_alpha_to_one');
    this.fields.choice('timestep_spacing', TIMESTEP_SPACINGS);
    this.fields.integer('original_inference_steps', 1, this.trainSteps);
  }

  protected override schedule(options: CompileOptions): Schedule {
    const { className, trainSteps, opensAll } = this;
    const original = this.fields.number('original_inference_steps');
    return { timesteps: distilledTimesteps(options, { className, trainSteps, original, opensAll }) };
  }
}
