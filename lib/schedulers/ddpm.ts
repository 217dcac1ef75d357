import type { BetaSchedule } from './betas.js';
import { CLIP_DEFAULTS, readX0Limit, THRESHOLD_DEFAULTS, type X0Limit } from './clipping.js';
import { type CompileOptions, resolveSteps } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import { combine, slot } from './linear.js';
import { predictX0 } from './prediction.js';
import { Scheduler } from './scheduler.js';
import type { RunContext, Schedule } from './scheduler-class.js';
import { spaceTimesteps, TIMESTEP_SPACINGS, type TimestepSpacing } from './spacing.js';

/** Denoising diffusion probabilistic models (Ho et al. 2020): ancestral sampling. Noise is drawn except at timestep 0. */
export class DDPMScheduler extends Scheduler {
  static override readonly className: string = 'DDPMScheduler';
  static override readonly defaults: SchedulerConfig = {
    ...TRAINING_DEFAULTS,
    ...CLIP_DEFAULTS,
    ...THRESHOLD_DEFAULTS,
    variance_type: 'fixed_small',
    timestep_spacing: 'leading',
    rescale_betas_zero_snr: false,
  };

  readonly #limit: X0Limit;
  readonly #spacing: TimestepSpacing;
  readonly #large: boolean;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.#limit = readX0Limit(this.fields);
    this.#spacing = this.fields.choice('timestep_spacing', TIMESTEP_SPACINGS);
    // Learned variances need a U-Net with twice the output channels; diffusers' fixed_large_log yields NaN.
    const variance = this.fields.choice('variance_type', ['fixed_small', 'fixed_small_log', 'fixed_large']);
    this.#large = variance === 'fixed_large';
  }

  protected override betaSchedules(): readonly BetaSchedule[] {
    return ['linear', 'scaled_linear', 'squaredcos_cap_v2', 'sigmoid'];
  }

  protected override schedule(options: CompileOptions): Schedule {
    const { trainSteps } = this;
    const steps = resolveSteps(this.className, options, trainSteps, ['timesteps']);
    if (options.timesteps) return { timesteps: [...options.timesteps] };
    const stepsOffset = this.fields.number('steps_offset');
    return { timesteps: spaceTimesteps({ spacing: this.#spacing, steps, trainSteps, stepsOffset }) };
  }

  protected override emit({ timesteps, steps, start, options, builder }: RunContext): void {
    // Before v0.32 diffusers took a whole stride, which is not where the next step starts.
    const stride = !options.timesteps && this.isOlder([0, 32]) && Math.floor(this.trainSteps / steps);
    for (const [i, timestep] of timesteps.entries()) {
      if (i < start) continue;
      const previous = stride ? timestep - stride : (timesteps[i + 1] ?? -1);
      const alpha = this.alphaAt(timestep);
      const alphaPrevious = previous >= 0 ? this.alphaAt(previous) : 1;
      const beta = 1 - alpha / alphaPrevious;
      const small = Math.max(((1 - alphaPrevious) / (1 - alpha)) * beta, 1e-20);
      const scales = { alpha: Math.sqrt(alpha), sigma: Math.sqrt(1 - alpha) };
      const noisy = timestep > 0;
      builder.add({
        timestep,
        x0: { ...predictX0(this.predictionType, scales), ...this.#limit },
        assign: [
          [
            'x',
            combine(
              [(Math.sqrt(alphaPrevious) * beta) / (1 - alpha), slot('x0')],
              [(Math.sqrt(1 - beta) * (1 - alphaPrevious)) / (1 - alpha), slot('x')],
              [noisy ? Math.sqrt(this.#large ? beta : small) : 0, slot('noise')],
            ),
          ],
        ],
        noise: noisy ? builder.draw() : undefined,
      });
    }
  }
}
