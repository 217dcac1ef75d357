import { type CompileOptions, optionInRange } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import { combine, type Linear, slot } from './linear.js';
import { predictX0Unscaled } from './prediction.js';
import type { RunContext, Schedule } from './scheduler.js';
import { inputScale, SigmaScheduler } from './sigma-scheduler.js';
import type { Assignment } from './table.js';

const MAX_CHURN = Math.SQRT2 - 1;

/**
 * Euler's method along the sigmas (Karras et al. 2022, algorithm 2). One noise tensor is drawn per step and thrown
 * away unless sChurn is above 0, as in diffusers.
 */
export class EulerDiscreteScheduler extends SigmaScheduler {
  static override readonly className: string = 'EulerDiscreteScheduler';
  static override readonly defaults: SchedulerConfig = {
    ...TRAINING_DEFAULTS,
    interpolation_type: 'linear',
    use_karras_sigmas: false,
    sigma_min: null,
    sigma_max: null,
    timestep_spacing: 'linspace',
    timestep_type: 'discrete',
  };

  readonly #continuous: boolean;

  constructor(config?: SchedulerConfig) {
    super(config);
    // diffusers v0.24 accepts 'log_linear' and then fails in set_timesteps.
    this.fields.choice('interpolation_type', ['linear']);
    this.sigmaRange();
    const type = this.fields.choice('timestep_type', ['discrete', 'continuous']);
    this.#continuous = type === 'continuous' && this.predictionType === 'v_prediction';
  }

  protected override schedule(options: CompileOptions): Schedule & { sigmas: number[] } {
    const { timesteps, sigmas } = super.schedule(options);
    if (!this.#continuous) return { timesteps, sigmas };
    return { timesteps: timesteps.map((_, i) => Math.fround(0.25 * Math.log(sigmas[i] as number))), sigmas };
  }

  protected override emit({ timesteps, sigmas = [], start, options, builder }: RunContext): void {
    const churn = optionInRange('sChurn', options.sChurn, 0, 0);
    const sTmin = optionInRange('sTmin', options.sTmin, 0, 0);
    const sTmax = optionInRange('sTmax', options.sTmax, Infinity, 0);
    const sNoise = optionInRange('sNoise', options.sNoise, 1, 0);
    for (let i = start; i < timesteps.length; i++) {
      const sigma = sigmas[i] as number;
      const gamma = sTmin <= sigma && sigma <= sTmax ? Math.min(churn / (sigmas.length - 1), MAX_CHURN) : 0;
      const raised = sigma * (1 + gamma);
      const added = sNoise * Math.sqrt(raised ** 2 - sigma ** 2);
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
        noise: builder.draw(),
      });
    }
  }
}
