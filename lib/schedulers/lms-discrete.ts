import { invalidArgument } from '../errors.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import { combine, type Linear, ring, slot } from './linear.js';
import { predictX0Unscaled } from './prediction.js';
import type { RunContext, SchedulerClass } from './scheduler-class.js';
import { inputScale, SigmaScheduler } from './sigma-scheduler.js';
import { SIGMA_SPACING_DEFAULTS, type SigmaSpacing } from './sigma-spacing.js';

const MAX_ORDER = 8;

/** Linear multistep method: past slopes, weighted by the integral of the polynomial through them. */
export class LMSDiscreteScheduler extends SigmaScheduler {
  static override readonly className: string = 'LMSDiscreteScheduler';
  static override readonly runOptions: SchedulerClass['runOptions'] = ['order'];
  static override readonly defaults: SchedulerConfig = {
    ...TRAINING_DEFAULTS,
    ...SIGMA_SPACING_DEFAULTS,
    timestep_spacing: 'linspace',
  };

  protected override ignoresRange(spacing: SigmaSpacing): boolean {
    return spacing === 'karras';
  }

  protected override emit({ timesteps, sigmas = [], start, options, builder }: RunContext): void {
    const maxOrder = options.order ?? 4;
    if (!Number.isInteger(maxOrder) || maxOrder < 1 || maxOrder > MAX_ORDER) {
      throw invalidArgument('order', `must be a whole number from 1 to ${MAX_ORDER}, got ${maxOrder}`);
    }
    for (let call = start; call < timesteps.length; call++) {
      const sigma = sigmas[call] as number;
      // diffusers takes the order from the position in the whole schedule, though a run that starts in the middle has
      // fewer slopes: the missing ones are left out of the sum.
      const order = Math.min(call + 1, maxOrder);
      const available = Math.min(call - start + 1, order);
      const slopes: (readonly [number, Linear])[] = [];
      for (let back = 0; back < available; back++) {
        slopes.push([lmsWeight(sigmas, call, order, back), slot(ring(call - back, MAX_ORDER))]);
      }
      builder.add({
        timestep: timesteps[call] as number,
        inputScale: inputScale(sigma),
        x0: predictX0Unscaled(this.predictionType, sigma),
        assign: [
          [ring(call, MAX_ORDER), combine([1 / sigma, slot('x')], [-1 / sigma, slot('x0')])],
          ['x', combine([1, slot('x')], ...slopes)],
        ],
      });
    }
  }
}

/**
 * The integral from sigmas[call] to sigmas[call + 1] of the Lagrange polynomial that is 1 at sigmas[call - back] and 0
 * at the other `order` - 1 sigmas up to sigmas[call].
 */
function lmsWeight(sigmas: readonly number[], call: number, order: number, back: number): number {
  const at = (i: number) => sigmas[i] as number;
  const node = at(call - back);
  const half = (at(call + 1) - at(call)) / 2;
  let sum = 0;
  for (const [point, weight] of GAUSS_LEGENDRE) {
    const sigma = at(call) + half * (1 + point);
    let value = 1;
    for (let k = 0; k < order; k++) {
      if (k !== back) value *= (sigma - at(call - k)) / (node - at(call - k));
    }
    sum += weight * value;
  }
  return half * sum;
}

/** Four-point Gauss-Legendre quadrature, exact up to degree 7 = MAX_ORDER - 1. */
const GAUSS_LEGENDRE = [-1, 1].flatMap((sign) =>
  [-1, 1].map((inner) => {
    const point = sign * Math.sqrt(3 / 7 + inner * (2 / 7) * Math.sqrt(6 / 5));
    return [point, (18 - inner * Math.sqrt(30)) / 36] as const;
  }),
);
