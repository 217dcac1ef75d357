import { expf } from '../math/expf.js';
import { ancestralStep } from './ancestral.js';
import { type CompileOptions, type NoiseLevel, optionInRange } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import { combine, slot } from './linear.js';
import { type PredictionType, predictX0Unscaled } from './prediction.js';
import type { RunContext, Schedule, SchedulerClass } from './scheduler-class.js';
import { inputScale, SigmaScheduler } from './sigma-scheduler.js';
import { SIGMA_SPACING_DEFAULTS, type SigmaSpacing } from './sigma-spacing.js';

const f32 = Math.fround;

/** The sample that both calls of a step start from. */
const BASE = 's0';
const MAX_SEED = Number.MAX_SAFE_INTEGER;

/**
 * The stochastic second-order DPM-Solver++ of k-diffusion, sample_dpmpp_sde (diffusers' DPMSolverSDEScheduler): a call
 * goes half-way in log sigma, the next over the whole step with the picture that was seen there, both by steps of an SDE
 * whose noise is one Brownian motion over sigma. n steps take 2 n - 1 U-Net calls, and the last one adds no noise.
 *
 * noise_sampler_seed is the motion's; without one it is the run's seed, where diffusers takes a random one.
 */
export class DPMSolverSDEScheduler extends SigmaScheduler {
  static override readonly className: string = 'DPMSolverSDEScheduler';
  static override readonly runOptions: SchedulerClass['runOptions'] = ['sNoise'];
  static override readonly defaults: SchedulerConfig = {
    ...TRAINING_DEFAULTS,
    beta_start: 0.00085,
    beta_end: 0.012,
    ...SIGMA_SPACING_DEFAULTS,
    noise_sampler_seed: null,
    timestep_spacing: 'linspace',
  };

  override readonly order = 2;
  readonly #seed: number | null;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.#seed = this.fields.has('noise_sampler_seed')
      ? this.fields.integer('noise_sampler_seed', 0, MAX_SEED)
      : null;
  }

  protected override predictionTypes(): readonly PredictionType[] {
    return ['epsilon', 'v_prediction'];
  }

  protected override heldTimestep(timestep: number): number {
    return timestep;
  }

  protected override ignoresRange(spacing: SigmaSpacing): boolean {
    return spacing === 'karras';
  }

  protected override schedule(options: CompileOptions): Schedule & { sigmas: number[] } {
    const { timesteps, sigmas } = super.schedule(options);
    const halves = timesteps
      .slice(1)
      .map((_, i) => f32(this.timestepOf(middleOf(sigmas[i] as number, sigmas[i + 1] as number))));
    return {
      timesteps: timesteps.flatMap((t, i) => (i === 0 ? [t] : [halves[i - 1] as number, t])),
      sigmas: sigmas.flatMap((sigma, i) => (i === 0 || i === sigmas.length - 1 ? [sigma] : [sigma, sigma])),
    };
  }

  protected override latentLevel({ sigmas = [] }: Schedule, call: number): NoiseLevel {
    const sigma = sigmas[call] as number;
    return {
      sqrtAlpha: 1,
      sigma: call % 2 === 0 ? sigma : middleOf(sigmas[call - 1] as number, sigma),
    };
  }

  protected override stepOf(call: number): number {
    return Math.floor(call / 2) + 1;
  }

  protected override emit({ timesteps, sigmas = [], start, options, builder }: RunContext): void {
    const sNoise = optionInRange('sNoise', options.sNoise, 1, 0);
    const levels = sigmas.filter((sigma) => sigma > 0);
    builder.walk({ low: Math.min(...levels), high: Math.max(...levels), seed: this.#seed });
    for (let call = start; call < timesteps.length; call++) {
      const second = (call - start) % 2 === 1;
      const [from, end] = (second ? [call - 1, call] : [call, call + 1]).map((i) => sigmas[i] as number) as [
        number,
        number,
      ];
      const middle = middleOf(from, end);
      const sigma = second ? middle : from;
      const row = {
        timestep: timesteps[call] as number,
        inputScale: inputScale(sigma),
        x0: predictX0Unscaled(this.predictionType, sigma),
      };
      if (end === 0) {
        builder.add({ ...row, assign: [['x', slot('x0')]] });
        continue;
      }
      const to = second ? end : middle;
      const { down, up } = ancestralStep(from, to);
      const kept = down / from;
      const next = combine(
        [kept, slot(second ? BASE : 'x')],
        [1 - kept, slot('x0')],
        [sNoise * up, slot('noise')],
      );
      builder.add({
        ...row,
        assign: second
          ? [['x', next]]
          : [
              [BASE, slot('x')],
              ['x', next],
            ],
        noise: builder.drawBetween(sigmaThere(from), sigmaThere(to)),
      });
    }
  }
}

/** Half-way between two noise levels in log sigma, in single precision; 0 where the lower one is. */
function middleOf(from: number, to: number): number {
  if (to === 0) return 0;
  const [start, end] = [f32(-Math.log(from)), f32(-Math.log(to))];
  return expf(-f32(start + f32(f32(end - start) / 2)));
}

/** A sigma as diffusers asks the motion for it: by way of its logarithm, which single precision rounds. */
function sigmaThere(sigma: number): number {
  return expf(f32(Math.log(sigma)));
}
