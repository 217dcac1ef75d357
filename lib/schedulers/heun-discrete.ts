import type { BetaSchedule } from './betas.js';
import { readClip, type X0Limit } from './clipping.js';
import type { CompileOptions } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import { combine, slot } from './linear.js';
import { predictX0Unscaled } from './prediction.js';
import type { RunContext, Schedule } from './scheduler-class.js';
import { inputScale, SigmaScheduler } from './sigma-scheduler.js';
import { SIGMA_SPACING_DEFAULTS } from './sigma-spacing.js';

const DERIVATIVE = 's0';
const BASE = 's1';

/**
 * Heun's method (Karras et al. 2022, algorithm 1): an Euler step, then the step again with the mean of the slopes at
 * both ends. n steps take 2 n - 1 U-Net calls, the last step has no second one.
 */
export class HeunDiscreteScheduler extends SigmaScheduler {
  static override readonly className: string = 'HeunDiscreteScheduler';
  static override readonly defaults: SchedulerConfig = {
    ...TRAINING_DEFAULTS,
    beta_start: 0.00085,
    beta_end: 0.012,
    ...SIGMA_SPACING_DEFAULTS,
    sigma_min: null,
    sigma_max: null,
    clip_sample: false,
    clip_sample_range: 1,
    timestep_spacing: 'linspace',
  };

  override readonly order = 2;
  readonly #limit: X0Limit;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.#limit = readClip(this.fields);
  }

  protected override betaSchedules(): readonly BetaSchedule[] {
    return ['linear', 'scaled_linear', 'squaredcos_cap_v2', 'exp'];
  }

  protected override schedule(options: CompileOptions): Schedule & { sigmas: number[] } {
    const { timesteps, sigmas } = super.schedule(options);
    const twice = (values: number[]) => values.flatMap((value, i) => (i === 0 ? [value] : [value, value]));
    return { timesteps: twice(timesteps), sigmas: [...twice(sigmas.slice(0, -1)), 0] };
  }

  protected override stepOf(call: number): number {
    return Math.floor(call / 2) + 1;
  }

  protected override emit({ timesteps, sigmas = [], start, builder }: RunContext): void {
    for (let call = start; call < timesteps.length; call++) {
      const second = (call - start) % 2 === 1;
      const sigma = sigmas[call] as number;
      // Both calls of a step cover the same interval.
      const step = second ? sigma - (sigmas[call - 1] as number) : (sigmas[call + 1] as number) - sigma;
      const slope = combine([1 / sigma, slot('x')], [-1 / sigma, slot('x0')]);
      builder.add({
        timestep: timesteps[call] as number,
        inputScale: inputScale(sigma),
        x0: { ...predictX0Unscaled(this.predictionType, sigma), ...this.#limit },
        assign: second
          ? [['x', combine([1, slot(BASE)], [step / 2, slot(DERIVATIVE)], [step / 2, slope])]]
          : [
              [DERIVATIVE, slope],
              [BASE, slot('x')],
              ['x', combine([1, slot('x')], [step, slot(DERIVATIVE)])],
            ],
      });
    }
  }
}
