import { CHURN_OPTIONS, readChurn } from './churn.js';
import type { CompileOptions } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import { combine, type Linear, slot } from './linear.js';
import { predictX0Unscaled } from './prediction.js';
import type { RunContext, Schedule, SchedulerClass } from './scheduler-class.js';
import { inputScale, SigmaScheduler } from './sigma-scheduler.js';
import { SIGMA_SPACING_DEFAULTS } from './sigma-spacing.js';
import type { Assignment } from './table.js';

/**
 * Euler's method along the sigmas (Karras et al. 2022, algorithm 2). Noise is drawn where sChurn adds some; before v0.31
 * diffusers drew in every step and threw it away.
 */
export class EulerDiscreteScheduler extends SigmaScheduler {
  static override readonly className: string = 'EulerDiscreteScheduler';
  static override readonly runOptions: SchedulerClass['runOptions'] = CHURN_OPTIONS;
  static override readonly defaults: SchedulerConfig = {
    ...TRAINING_DEFAULTS,
    interpolation_type: 'linear',
    ...SIGMA_SPACING_DEFAULTS,
    sigma_min: null,
    sigma_max: null,
    timestep_spacing: 'linspace',
    timestep_type: 'discrete',
    rescale_betas_zero_snr: false,
    final_sigmas_type: 'zero',
  };

  readonly #logLinear: boolean;
  readonly #continuous: boolean;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.#logLinear = this.fields.choice('interpolation_type', ['linear', 'log_linear']) === 'log_linear';
    const type = this.fields.choice('timestep_type', ['discrete', 'continuous']);
    this.#continuous = type === 'continuous' && this.predictionType === 'v_prediction';
  }

  /** log_linear has one more sigma, so that the last step ends at the lowest training sigma. */
  protected override sigmasOf(timesteps: readonly number[]): number[] {
    return this.#logLinear ? this.logLinearSigmas(timesteps.length + 1) : super.sigmasOf(timesteps);
  }

  protected override schedule(options: CompileOptions): Schedule & { sigmas: number[] } {
    const { timesteps, sigmas } = super.schedule(options);
    if (!this.#continuous) return { timesteps, sigmas };
    return { timesteps: sigmas.slice(0, -1).map((sigma) => Math.fround(0.25 * Math.log(sigma))), sigmas };
  }

  protected override emit({ timesteps, sigmas = [], start, options, builder }: RunContext): void {
    const churnAt = readChurn(options, sigmas.length - 1);
    const alwaysDraws = this.isOlder([0, 31]);
    for (let i = start; i < timesteps.length; i++) {
      const sigma = sigmas[i] as number;
      const { raised, added, draws } = churnAt(sigma);
      // The model has seen x without the added noise, x0 is formed from x with it.
      const x0 = predictX0Unscaled(this.predictionType, this.predictionType === 'epsilon' ? raised : sigma);
      const noisy = combine([1, slot('x')], [added, slot('noise')]);
      const rest = (sigmas[i + 1] as number) / raised;
      const assign: [Assignment['to'], Linear][] = [['x', combine([rest, noisy], [1 - rest, slot('x0')])]];
      if (added > 0) assign.unshift(['x0', combine([1, slot('x0')], [x0.x * added, slot('noise')])]);
      builder.add({
        timestep: timesteps[i] as number,
        inputScale: inputScale(sigma),
        x0,
        assign,
        noise: draws || alwaysDraws ? builder.draw() : undefined,
      });
    }
  }
}
