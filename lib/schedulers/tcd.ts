import { optionInRange } from './compiled.js';
import { DistilledScheduler } from './distilled-scheduler.js';
import { combine, slot } from './linear.js';
import { predictEpsilon, predictX0 } from './prediction.js';
import type { RunContext } from './scheduler-class.js';

/** The share of noise of a run that does not say: diffusers' step(). Its pipelines say 0, and so do ours. */
const DEFAULT_ETA = 0.3;

/**
 * Trajectory consistency models (Zheng et al. 2024, strategic stochastic sampling; diffusers' TCDScheduler): each call
 * jumps below the next timestep, and noise leads back up to it. eta, the paper's gamma, says how far below: 0 is
 * deterministic, 1 jumps to the clean end. The last step adds no noise and ends at training timestep 0.
 * x0 is neither clipped nor thresholded, and timestep_spacing, timestep_scaling and set_alpha_to_one have no effect, as
 * in diffusers.
 */
export class TCDScheduler extends DistilledScheduler {
  static override readonly className: string = 'TCDScheduler';

  override readonly takesEta = true;
  protected override readonly opensAll = true;

  protected override emit({ timesteps, start, options, builder }: RunContext): void {
    const eta = optionInRange('eta', options.eta, DEFAULT_ETA, 0, 1);
    for (let i = start; i < timesteps.length; i++) {
      const timestep = timesteps[i] as number;
      const next = timesteps[i + 1] ?? 0;
      // Single precision decides where it rounds down.
      const target = Math.floor(Math.fround(Math.fround(1 - eta) * next));
      const [alpha, alphaTarget] = [this.alphaAt(timestep), this.alphaAt(target)];
      const scales = { alpha: Math.sqrt(alpha), sigma: Math.sqrt(1 - alpha) };
      const x0 = predictX0(this.predictionType, scales);
      const jump = combine(
        [Math.sqrt(alphaTarget), slot('x0')],
        [Math.sqrt(1 - alphaTarget), predictEpsilon(this.predictionType, scales)],
      );
      const noisy = eta > 0 && i < timesteps.length - 1;
      const kept = noisy ? this.alphaAt(next) / alphaTarget : 1;
      builder.add({
        timestep,
        x0,
        assign: [['x', combine([Math.sqrt(kept), jump], [Math.sqrt(1 - kept), slot('noise')])]],
        noise: noisy ? builder.draw() : undefined,
      });
    }
  }
}
