import type { PolicyFamily } from '../policy.js';
import { mix } from '../vectors.js';
import { LagrangePart, type LagrangeSettings } from './lagrange.js';

/** Of `of`: what is forecast of v-predictions; for models that predict noise both are the same. */
export type ForecastOf = 'noise' | 'output';

/**
 * Calls are skipped by number. The first one of a gap goes on by the whole last change between full calls, 2 e0 - e1
 * however far they are apart, the second one holds e0, and so by turns; late in the run clean latents are interpolated.
 */
export const ZEUS: PolicyFamily<LagrangeSettings & { denominator: number; skipped: number; of: ForecastOf }> =
  {
    name: 'zeus',
    reference:
      'ZEUS: Zero-shot Efficient Unified Sparsity, github.com/Ting-Justin-Jiang/ZEUS, settings of sd_demo.py',
    defaults: {
      ...{
        denominator: 3,
        skipped: 2,
        from: 0.2,
        to: 0.9,
        lagrangeFrom: 0.48,
        every: 4,
        terms: 4,
        maxSkips: 6,
      },
      of: 'noise',
    },
    front: [
      { denominator: 3, skipped: 1, lagrangeFrom: 1 },
      { denominator: 2, skipped: 1, lagrangeFrom: 1 },
      { lagrangeFrom: 1 },
      { denominator: 4, skipped: 3, lagrangeFrom: 1 },
      {},
      { of: 'output' },
    ],
    begin({ denominator, skipped, of, ...settings }, run) {
      const late = new LagrangePart(settings, run);
      const full: Float32Array[] = [];
      return async (call) => {
        const { index } = call;
        const before = index - 1;
        const skip = late.decide(before, () => before % denominator < skipped);
        const [to, from] = of === 'noise' ? [call.toNoise, call.fromNoise] : [same, same];
        let output: Float32Array;
        if (skip === 'none') {
          output = (await call.full()).guided;
          full.push(to(output));
        } else if (skip === 'lagrange') {
          output = call.fromClean(late.interpolated(call));
        } else {
          const [last, older] = [full.at(-1), full.at(-2)] as [Float32Array, Float32Array];
          output = from(late.skipped % 2 === 1 ? mix([2, last], [-1, older]) : last);
        }
        late.keep(call, output);
        return output;
      };
    },
  };

const same = (values: Float32Array) => values;
