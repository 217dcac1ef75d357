import type { PolicyFamily } from '../policy.js';
import { mix } from '../vectors.js';

/**
 * Every so many calls a full one; the others take a Taylor series of the noise, over the number of the call, with
 * derivatives from divided differences of the full calls. Published for the features of transformers' modules; here the
 * output is the only feature.
 */
export const TAYLORSEER: PolicyFamily<{ interval: number; order: number; first: number }> = {
  name: 'taylorseer',
  reference:
    'Liu and others: From Reusing to Forecasting: Accelerating Diffusion Models with TaylorSeers (arXiv 2503.06923), of the output alone',
  defaults: { interval: 4, order: 1, first: 3 },
  front: [2, 3, 4, 5].flatMap((interval) => [{ interval }, { interval, order: 2 }]),
  begin({ interval, order, first }) {
    let derivatives: Float32Array[] = [];
    let last = 0;
    let skipped = 0;
    return async (call) => {
      const { index } = call;
      if (index >= first && skipped < interval - 1) {
        skipped++;
        let factor = 1;
        const terms = derivatives.map((derivative, k) => {
          if (k > 0) factor *= (index - last) / k;
          return [factor, derivative] as const;
        });
        return call.fromNoise(mix(...terms));
      }
      const { guided } = await call.full();
      const fresh = [call.toNoise(guided)];
      const distance = index - last;
      // As the code has it: derivatives of the first calls are left out.
      for (let k = 0; k < order && index > first - 2 && derivatives[k]; k++) {
        fresh.push(
          mix([1 / distance, fresh[k] as Float32Array], [-1 / distance, derivatives[k] as Float32Array]),
        );
      }
      derivatives = fresh;
      last = index;
      skipped = 0;
      return guided;
    };
  },
};
