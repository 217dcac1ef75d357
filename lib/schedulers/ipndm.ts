import { invalidArgument } from '../errors.js';
import { ADAMS_BASHFORTH } from './adams-bashforth.js';
import { linspace32 } from './betas.js';
import { type CompileOptions, type NoiseLevel, resolveSteps } from './compiled.js';
import type { SchedulerConfig } from './config.js';
import { combine, ring, slot } from './linear.js';
import { type PredictionType, predictEpsilon, predictX0 } from './prediction.js';
import { Scheduler } from './scheduler.js';
import type { RunContext, Schedule } from './scheduler-class.js';

const f32 = Math.fround;
const HISTORY = 4;
/** What diffusers divides by at least. */
const MIN_ALPHA = 1e-8;

/**
 * Improved pseudo numerical methods (Zhang and Chen 2022; diffusers' IPNDMScheduler): Adams-Bashforth steps of up to
 * fourth order along a circle of picture and noise. For models that predict velocity and get the angle as a timestep,
 * from 1 for noise to 0. As in diffusers a run of one step ends at 0.
 */
export class IPNDMScheduler extends Scheduler {
  static override readonly className: string = 'IPNDMScheduler';
  static override readonly defaults: SchedulerConfig = { num_train_timesteps: 1000, trained_betas: null };

  protected override predictionTypes(): readonly PredictionType[] {
    return ['v_prediction'];
  }

  /** sigmas are the shares of noise, called betas there. */
  protected override schedule(options: CompileOptions): Schedule & { sigmas: number[] } {
    const steps = resolveSteps(this.className, options, this.trainSteps, []);
    const sigmas = this.#betas(steps);
    const angle = (beta: number) => f32((Math.atan2(beta, alphaOf(beta)) / Math.PI) * 2);
    return { timesteps: sigmas.slice(0, -1).map(angle), sigmas };
  }

  #betas(steps: number): number[] {
    if (!this.fields.has('trained_betas')) {
      const angles = [...linspace32(1, 0, steps + 1).slice(0, -1), 0];
      return angles.map((angle) => f32(f32(Math.sin(f32(f32(angle * f32(Math.PI)) / 2))) ** 2));
    }
    const betas = this.fields.numbers('trained_betas');
    if (betas.some((beta) => beta < 0 || beta > 1)) {
      throw this.fields.error('trained_betas', 'must be between 0 and 1');
    }
    if (betas.length === steps + 1) return betas.map(f32);
    throw invalidArgument('steps', `must be one fewer than the ${betas.length} trained_betas, got ${steps}`);
  }

  protected override noiseLevel({ sigmas = [] }: Schedule, call: number): NoiseLevel {
    const sigma = sigmas[call] as number;
    return { sqrtAlpha: alphaOf(sigma), sigma };
  }

  protected override emit({ timesteps, sigmas = [], start, builder }: RunContext): void {
    for (let call = start; call < timesteps.length; call++) {
      const [sigma, next] = [sigmas[call] as number, sigmas[call + 1] as number];
      const [alpha, alphaNext] = [alphaOf(sigma), alphaOf(next)];
      const noise = predictEpsilon(this.predictionType, { alpha, sigma });
      const stored = ring(call, HISTORY);
      const known = Math.min(call - start, HISTORY - 1);
      const weights = ADAMS_BASHFORTH[known] as readonly number[];
      // Of the first call, which may be pure noise, the parts must cancel before they are rounded.
      const slope = combine(
        ...weights.map((weight, back) => {
          const output = known === 0 ? noise : slot(ring(call - back + HISTORY, HISTORY));
          return [weight, output] as const;
        }),
      );
      const scale = alphaNext / Math.max(alpha, MIN_ALPHA);
      builder.add({
        timestep: timesteps[call] as number,
        x0: predictX0(this.predictionType, { alpha, sigma }),
        assign: [
          [stored, noise],
          ['x', combine([scale, slot('x')], [next - scale * sigma, slope])],
        ],
      });
    }
  }
}

function alphaOf(sigma: number): number {
  return f32(Math.sqrt(f32(1 - f32(sigma * sigma))));
}
