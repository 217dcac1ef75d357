import { CLIP_DEFAULTS, readClip, type X0Limit } from './clipping.js';
import { type CompileOptions, type NoiseLevel, resolveSteps } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import { combine, slot } from './linear.js';
import { predictEpsilon, predictX0 } from './prediction.js';
import { Scheduler } from './scheduler.js';
import type { RunContext, Schedule } from './scheduler-class.js';
import { spaceTimesteps } from './spacing.js';

const SPACINGS = ['leading', 'trailing'] as const;

/**
 * DDIM backwards (Song et al. 2021, section 4.3; diffusers' DDIMInverseScheduler): from a picture's latents up to the
 * noise that leads to them. Its run starts from `latents`, and what it makes are latents. The step to a timestep takes
 * the model's output there for that of the level below.
 */
export class DDIMInverseScheduler extends Scheduler {
  static override readonly className: string = 'DDIMInverseScheduler';
  static override readonly defaults: SchedulerConfig = {
    ...TRAINING_DEFAULTS,
    ...CLIP_DEFAULTS,
    set_alpha_to_one: true,
    timestep_spacing: 'leading',
    rescale_betas_zero_snr: false,
  };

  readonly #limit: X0Limit;
  readonly #spacing: (typeof SPACINGS)[number];
  /** alphas_cumprod of the latents that the first step starts from. */
  readonly #initialAlpha: number;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.#limit = readClip(this.fields);
    this.#spacing = this.fields.choice('timestep_spacing', SPACINGS);
    this.#initialAlpha = this.fields.flag('set_alpha_to_one') ? 1 : this.alphaAt(0);
  }

  protected override schedule(options: CompileOptions): Schedule {
    const { trainSteps } = this;
    const steps = resolveSteps(this.className, options, trainSteps, []);
    const stepsOffset = this.fields.number('steps_offset');
    const spaced = spaceTimesteps({ spacing: this.#spacing, steps, trainSteps, stepsOffset });
    return { timesteps: spaced.reverse() };
  }

  /** The share of signal in the latents of a timestep, which have not come there yet. */
  #alphaBelow(timestep: number, stride: number): number {
    return timestep >= stride ? this.alphaAt(timestep - stride) : this.#initialAlpha;
  }

  protected override latentLevel({ timesteps }: Schedule, call: number): NoiseLevel {
    const stride = Math.floor(this.trainSteps / timesteps.length);
    const alpha = this.#alphaBelow(timesteps[call] as number, stride);
    return { sqrtAlpha: Math.sqrt(alpha), sigma: Math.sqrt(1 - alpha) };
  }

  protected override emit({ timesteps, steps, start, builder }: RunContext): void {
    const stride = Math.floor(this.trainSteps / steps);
    for (const [i, timestep] of timesteps.entries()) {
      if (i < start) continue;
      const alpha = this.#alphaBelow(timestep, stride);
      const alphaNext = this.alphaAt(timestep);
      const scales = { alpha: Math.sqrt(alpha), sigma: Math.sqrt(1 - alpha) };
      const epsilon = predictEpsilon(this.predictionType, scales);
      builder.add({
        timestep,
        x0: { ...predictX0(this.predictionType, scales), ...this.#limit },
        assign: [['x', combine([Math.sqrt(alphaNext), slot('x0')], [Math.sqrt(1 - alphaNext), epsilon])]],
      });
    }
  }
}
