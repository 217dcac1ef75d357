import { DistilledScheduler } from './distilled-scheduler.js';
import { combine, slot } from './linear.js';
import { predictX0 } from './prediction.js';
import type { RunContext } from './scheduler-class.js';

/** Half the standard deviation of the data, as the consistency models of EDM assume it. */
const SIGMA_DATA = 0.5;

/**
 * Multistep sampling of latent consistency models (Luo et al. 2023): each step jumps to x0 and noise leads back to the
 * next timestep, a subset of the ones that the model was distilled on. A row leaves the denoised latent in x0.
 * timestep_spacing is kept but has no effect.
 */
export class LCMScheduler extends DistilledScheduler {
  static override readonly className: string = 'LCMScheduler';

  protected override readonly opensAll = false;

  protected override emit({ timesteps, start, builder }: RunContext): void {
    for (let i = start; i < timesteps.length; i++) {
      const timestep = timesteps[i] as number;
      const alpha = this.alphaAt(timestep);
      const next = timesteps[i + 1];
      const alphaNext = next === undefined ? 1 : this.alphaAt(next);
      const scaled = timestep * this.scaling;
      const square = scaled ** 2 + SIGMA_DATA ** 2;
      const x0 = predictX0(this.predictionType, { alpha: Math.sqrt(alpha), sigma: Math.sqrt(1 - alpha) });
      builder.add({
        timestep,
        x0: { ...x0, ...this.limit },
        assign: [
          ['x0', combine([scaled / Math.sqrt(square), slot('x0')], [SIGMA_DATA ** 2 / square, slot('x')])],
          ['x', combine([Math.sqrt(alphaNext), slot('x0')], [Math.sqrt(1 - alphaNext), slot('noise')])],
        ],
        noise: next === undefined ? undefined : builder.draw(),
      });
    }
  }
}
