import { type CompileOptions, optionInRange, resolveSteps } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import { addDdimStep } from './ddim-step.js';
import { Scheduler } from './scheduler.js';
import type { RunContext, Schedule } from './scheduler-class.js';

/**
 * DDIM as latent diffusion's code has it (Rombach et al. 2022, DDIMSampler): timesteps from 1 on, and a last step to
 * the noise level of training step 0 instead of to none at all.
 */
export class LatentDDIMScheduler extends Scheduler {
  static override readonly className: string = 'LatentDDIMScheduler';
  static override readonly defaults: SchedulerConfig = {
    ...TRAINING_DEFAULTS,
    beta_start: 0.0015,
    beta_end: 0.0195,
    // The code calls it "linear": it is, in the square roots.
    beta_schedule: 'scaled_linear',
  };

  /** Of the double-precision betas of that code; diffusers' are rounded. */
  override readonly takesEta = true;
  readonly #alphas: Float64Array | undefined;

  constructor(config?: SchedulerConfig) {
    super(config);
    if (this.fields.has('trained_betas') || this.config.beta_schedule !== 'scaled_linear') return;
    const [start, end] = ['beta_start', 'beta_end'].map((field) => Math.sqrt(this.fields.number(field)));
    let product = 1;
    this.#alphas = this.betas.map((_, i) => {
      const root = (start as number) + (((end as number) - (start as number)) * i) / (this.trainSteps - 1);
      product *= 1 - root ** 2;
      return Math.fround(product);
    });
  }

  protected override predictionTypes() {
    return ['epsilon'] as const;
  }

  protected override alphaAt(timestep: number): number {
    return this.#alphas?.[timestep] ?? super.alphaAt(timestep);
  }

  /** May be longer than `steps`: 7 steps of 1000 are 8. */
  protected override schedule(options: CompileOptions): Schedule {
    const { trainSteps } = this;
    const steps = resolveSteps(this.className, options, trainSteps, []);
    const stride = Math.floor(trainSteps / steps);
    const count = Math.ceil(trainSteps / stride);
    return { timesteps: Array.from({ length: count }, (_, i) => (count - 1 - i) * stride + 1) };
  }

  protected override emit({ timesteps, start, options, builder }: RunContext): void {
    const eta = optionInRange('eta', options.eta, 0, 0);
    for (const [i, timestep] of timesteps.entries()) {
      if (i < start) continue;
      const alphaPrevious = this.alphaAt(timesteps[i + 1] ?? 0);
      addDdimStep(builder, { timestep, alpha: this.alphaAt(timestep), alphaPrevious, eta });
    }
  }
}
