import { invalidArgument } from '../errors.js';
import { CLIP_DEFAULTS, readX0Limit, THRESHOLD_DEFAULTS, type X0Limit } from './clipping.js';
import { type CompileOptions, optionInRange, resolveSteps } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import { combine, slot } from './linear.js';
import { epsilonFromX0, predictEpsilon, predictX0 } from './prediction.js';
import { Scheduler } from './scheduler.js';
import type { RunContext, Schedule, SchedulerClass } from './scheduler-class.js';
import { spaceTimesteps, TIMESTEP_SPACINGS, type TimestepSpacing } from './spacing.js';

/** Denoising diffusion implicit models (Song et al. 2021): first order, deterministic unless eta is above 0. */
export class DDIMScheduler extends Scheduler {
  static override readonly className: string = 'DDIMScheduler';
  static override readonly runOptions: SchedulerClass['runOptions'] = ['useClippedModelOutput'];
  static override readonly defaults: SchedulerConfig = {
    ...TRAINING_DEFAULTS,
    ...CLIP_DEFAULTS,
    ...THRESHOLD_DEFAULTS,
    set_alpha_to_one: true,
    timestep_spacing: 'leading',
    rescale_betas_zero_snr: false,
  };

  override readonly takesEta = true;
  readonly #limit: X0Limit;
  readonly #spacing: TimestepSpacing;
  /** alphas_cumprod "before" the first training step. */
  readonly #finalAlpha: number;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.#limit = readX0Limit(this.fields);
    this.#spacing = this.fields.choice('timestep_spacing', TIMESTEP_SPACINGS);
    this.#finalAlpha = this.fields.flag('set_alpha_to_one') ? 1 : this.alphaAt(0);
  }

  protected override schedule(options: CompileOptions): Schedule {
    const { trainSteps } = this;
    const steps = resolveSteps(this.className, options, trainSteps, ['timesteps']);
    if (options.timesteps) return { timesteps: options.timesteps.map(requireWhole) };
    const stepsOffset = this.fields.number('steps_offset');
    return { timesteps: spaceTimesteps({ spacing: this.#spacing, steps, trainSteps, stepsOffset }) };
  }

  protected override emit({ timesteps, steps, start, options, builder }: RunContext): void {
    const eta = optionInRange('eta', options.eta, 0, 0);
    const clipped = options.useClippedModelOutput ?? false;
    const stride = Math.floor(this.trainSteps / steps);
    for (const [i, timestep] of timesteps.entries()) {
      if (i < start) continue;
      const previous = options.timesteps ? (timesteps[i + 1] ?? -1) : timestep - stride;
      const alpha = this.alphaAt(timestep);
      const alphaPrevious = previous >= 0 ? this.alphaAt(previous) : this.#finalAlpha;
      const scales = { alpha: Math.sqrt(alpha), sigma: Math.sqrt(1 - alpha) };
      const variance = ((1 - alphaPrevious) / (1 - alpha)) * (1 - alpha / alphaPrevious);
      const deviation = eta * Math.sqrt(variance);
      const epsilon = clipped ? epsilonFromX0(scales) : predictEpsilon(this.predictionType, scales);
      builder.add({
        timestep,
        x0: { ...predictX0(this.predictionType, scales), ...this.#limit },
        assign: [
          [
            'x',
            combine(
              [Math.sqrt(alphaPrevious), slot('x0')],
              [Math.sqrt(1 - alphaPrevious - deviation ** 2), epsilon],
              [deviation, slot('noise')],
            ),
          ],
        ],
        noise: eta > 0 ? builder.draw() : undefined,
      });
    }
  }
}

function requireWhole(timestep: number): number {
  if (Number.isInteger(timestep)) return timestep;
  throw invalidArgument('timesteps', `must be whole numbers for this scheduler, got ${timestep}`);
}
