import { roundHalfEven } from '../math/numpy.js';
import type { CompileOptions, NoiseLevel } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import { combine, type Linear, slot } from './linear.js';
import { type PredictionType, predictX0Unscaled } from './prediction.js';
import type { RunContext, Schedule } from './scheduler-class.js';
import { inputScale, SigmaScheduler } from './sigma-scheduler.js';
import { SIGMA_SPACING_DEFAULTS, type SigmaSpacing } from './sigma-spacing.js';

/** The sample that both calls of a step start from. */
const BASE = 's0';

export const KDPM2_DEFAULTS = {
  ...TRAINING_DEFAULTS,
  beta_start: 0.00085,
  beta_end: 0.012,
  ...SIGMA_SPACING_DEFAULTS,
  sigma_min: null,
  sigma_max: null,
  timestep_spacing: 'linspace',
} satisfies SchedulerConfig;

const f32 = Math.fround;

/** Half-way between two noise levels in log sigma, in single precision; 0 where one of them is. */
export function middleOf(sigma: number, other: number): number {
  if (sigma === 0 || other === 0) return 0;
  const [from, to] = [f32(Math.log(sigma)), f32(Math.log(other))];
  return f32(Math.exp(f32(to - f32(f32(to - from) / 2))));
}

/** Where the steps of a run lead, for the noise level before and after each. */
export interface Halfway {
  sigma: number;
  /** Where the second call of the step looks. */
  middle: number;
  /** Where the step leads without noise. */
  down: number;
  /** Deviation of the noise that is added there. */
  up: number;
}

/**
 * The second-order sampler of Karras et al. 2022 in k-diffusion's form, sample_dpm_2 (diffusers' KDPM2DiscreteScheduler):
 * a call steps half-way in log sigma, the next takes the whole step with the slope found there. n steps take 2 n - 1
 * U-Net calls, the last step has no second one.
 */
export class KDPM2DiscreteScheduler extends SigmaScheduler {
  static override readonly className: string = 'KDPM2DiscreteScheduler';
  static override readonly defaults: SchedulerConfig = KDPM2_DEFAULTS;

  override readonly order = 2;

  protected override predictionTypes(): readonly PredictionType[] {
    return ['epsilon', 'v_prediction'];
  }

  protected override spacedTimestep(timestep: number, spacing: SigmaSpacing): number {
    return spacing === 'karras' ? roundHalfEven(timestep) : timestep;
  }

  /** The noise levels of a step. */
  protected halfway(sigma: number, next: number): Halfway {
    return { sigma, middle: middleOf(next, sigma), down: next, up: 0 };
  }

  protected override schedule(options: CompileOptions): Schedule & { sigmas: number[] } {
    const { timesteps, sigmas } = super.schedule(options);
    const halves = timesteps.slice(0, -1).map((_, i) => {
      const half = this.halfway(sigmas[i] as number, sigmas[i + 1] as number);
      return f32(this.timestepOf(half.middle));
    });
    return {
      timesteps: timesteps.flatMap((t, i) => (i === 0 ? [t] : [halves[i - 1] as number, t])),
      // diffusers' list ends with three zeros.
      sigmas: [
        ...sigmas.flatMap((sigma, i) => (i === 0 ? [sigma] : [sigma, sigma])),
        sigmas.at(-1) as number,
      ],
    };
  }

  protected override latentLevel({ sigmas = [] }: Schedule, call: number): NoiseLevel {
    const sigma = sigmas[call] as number;
    if (call % 2 === 0) return { sqrtAlpha: 1, sigma };
    return { sqrtAlpha: 1, sigma: this.halfway(sigmas[call - 1] as number, sigma).middle };
  }

  protected override stepOf(call: number): number {
    return Math.floor(call / 2) + 1;
  }

  protected override emit({ timesteps, sigmas = [], start, builder }: RunContext): void {
    for (let call = start; call < timesteps.length; call++) {
      const second = (call - start) % 2 === 1;
      const [from, to] = second ? [call - 1, call] : [call, call + 1];
      const half = this.halfway(sigmas[from] as number, sigmas[to] as number);
      const sigma = second ? half.middle : half.sigma;
      const slope = combine([1 / sigma, slot('x')], [-1 / sigma, slot('x0')]);
      const row = {
        timestep: timesteps[call] as number,
        inputScale: inputScale(sigma),
        x0: predictX0Unscaled(this.predictionType, sigma),
      };
      if (second) {
        const next: Linear = combine(
          [1, slot(BASE)],
          [half.down - half.sigma, slope],
          [half.up, slot('noise')],
        );
        const noise = this.isAncestral ? builder.draw() : undefined;
        builder.add({ ...row, assign: [['x', next]], noise });
      } else {
        const next = combine([1, slot('x')], [half.middle - half.sigma, slope]);
        builder.add({
          ...row,
          assign: [
            [BASE, slot('x')],
            ['x', next],
          ],
        });
      }
    }
  }

  /** Whether a step adds noise. */
  protected get isAncestral(): boolean {
    return false;
  }
}
