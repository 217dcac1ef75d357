import { ancestralStep } from './ancestral.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import { combine, slot } from './linear.js';
import { type PredictionType, predictX0Unscaled } from './prediction.js';
import type { RunContext } from './scheduler-class.js';
import { inputScale, SigmaScheduler } from './sigma-scheduler.js';

/** Euler steps to a lower sigma, from where fresh noise leads back up to the next one. One noise draw per step. */
export class EulerAncestralDiscreteScheduler extends SigmaScheduler {
  static override readonly className: string = 'EulerAncestralDiscreteScheduler';
  static override readonly defaults: SchedulerConfig = {
    ...TRAINING_DEFAULTS,
    timestep_spacing: 'linspace',
    rescale_betas_zero_snr: false,
  };

  protected override predictionTypes(): readonly PredictionType[] {
    return ['epsilon', 'v_prediction'];
  }

  protected override emit({ timesteps, sigmas = [], start, builder }: RunContext): void {
    for (let i = start; i < timesteps.length; i++) {
      const from = sigmas[i] as number;
      const to = sigmas[i + 1] as number;
      const { down, up } = ancestralStep(from, to);
      builder.add({
        timestep: timesteps[i] as number,
        inputScale: inputScale(from),
        x0: predictX0Unscaled(this.predictionType, from),
        assign: [
          ['x', combine([down / from, slot('x')], [1 - down / from, slot('x0')], [up, slot('noise')])],
        ],
        noise: builder.draw(),
      });
    }
  }
}
