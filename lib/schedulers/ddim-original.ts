import { type CompileOptions, optionInRange, type RowBuilder, resolveSteps } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import { addDdimStep } from './ddim-step.js';
import { combine, slot } from './linear.js';
import { predictX0 } from './prediction.js';
import { Scheduler } from './scheduler.js';
import type { RunContext, Schedule } from './scheduler-class.js';

/** Ways to choose timesteps: evenly spaced ones, or closer together near the picture. */
const SKIP_TYPES = ['uniform', 'quad'] as const;
/** `generalized` is DDIM with eta, `ddpm_noisy` DDPM with clipped predictions. */
const SAMPLE_TYPES = ['generalized', 'ddpm_noisy'] as const;
/** The share of the training steps that `quad` covers. */
const QUAD_RANGE = 0.8;

/**
 * The samplers of DDIM's own code (Song et al. 2021), which DeepCache's DDPM experiments use; fields are named like
 * its flags. diffusers' DDIMScheduler differs in the timesteps, in clipping and in what it draws.
 */
export class OriginalDDIMScheduler extends Scheduler {
  static override readonly className: string = 'OriginalDDIMScheduler';
  static override readonly defaults: SchedulerConfig = {
    ...TRAINING_DEFAULTS,
    skip_type: 'uniform',
    sample_type: 'generalized',
  };

  override readonly takesEta: boolean;
  readonly #skipType: (typeof SKIP_TYPES)[number];
  readonly #noisy: boolean;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.#skipType = this.fields.choice('skip_type', SKIP_TYPES);
    this.#noisy = this.fields.choice('sample_type', SAMPLE_TYPES) === 'ddpm_noisy';
    this.takesEta = !this.#noisy;
  }

  protected override predictionTypes() {
    return ['epsilon'] as const;
  }

  /** May be longer than `steps` (30 steps of 1000 are 31), and `quad` may hold a timestep twice. */
  protected override schedule(options: CompileOptions): Schedule {
    const { trainSteps } = this;
    const steps = resolveSteps(this.className, options, trainSteps, []);
    const ascending =
      this.#skipType === 'quad' ? quadratic(trainSteps * QUAD_RANGE, steps) : everyNth(trainSteps, steps);
    return { timesteps: ascending.reverse() };
  }

  protected override emit({ timesteps, start, options, builder }: RunContext): void {
    const eta = optionInRange('eta', options.eta, 0, 0);
    for (const [i, timestep] of timesteps.entries()) {
      if (i < start) continue;
      const next = timesteps[i + 1];
      const step = {
        timestep,
        alpha: this.alphaAt(timestep),
        alphaPrevious: next === undefined ? 1 : this.alphaAt(next),
      };
      if (this.#noisy) addNoisyStep(builder, step);
      else addDdimStep(builder, { ...step, eta });
    }
  }
}

/** DDPM with x0 clipped to the range of pictures, no noise at timestep 0 (ddpm_steps). */
function addNoisyStep(
  builder: RowBuilder,
  { timestep, alpha, alphaPrevious }: { timestep: number; alpha: number; alphaPrevious: number },
): void {
  const beta = 1 - alpha / alphaPrevious;
  const scales = { alpha: Math.sqrt(alpha), sigma: Math.sqrt(1 - alpha) };
  builder.add({
    timestep,
    x0: { ...predictX0('epsilon', scales), clamp: 1 },
    assign: [
      [
        'x',
        combine(
          [(Math.sqrt(alphaPrevious) * beta) / (1 - alpha), slot('x0')],
          [(Math.sqrt(1 - beta) * (1 - alphaPrevious)) / (1 - alpha), slot('x')],
          [timestep === 0 ? 0 : Math.sqrt(beta), slot('noise')],
        ),
      ],
    ],
    noise: builder.draw(),
  });
}

function everyNth(trainSteps: number, steps: number): number[] {
  const stride = Math.floor(trainSteps / steps);
  return Array.from({ length: Math.ceil(trainSteps / stride) }, (_, i) => i * stride);
}

/** numpy's int(linspace(0, sqrt(range), steps) ** 2). */
function quadratic(range: number, steps: number): number[] {
  const end = Math.sqrt(range);
  const step = end / Math.max(1, steps - 1);
  return Array.from({ length: steps }, (_, i) =>
    Math.trunc((i > 0 && i === steps - 1 ? end : i * step) ** 2),
  );
}
