import type { LabCall, PolicyFamily } from '../policy.js';
import { meanProduct, mix } from '../vectors.js';
import { LagrangePart, type LagrangeSettings } from './lagrange.js';

/** A call that was: the gradient of its input over a step of training. */
interface Past {
  input: Float32Array;
  gradient: Float32Array;
}

/**
 * A call is skipped where the latents lie on the side of an extrapolation to which their path bends: the mean product of
 * that distance with the second difference of gradients is not above 0. The clean latents then come from the last output
 * at the extrapolated latents; late in the run they are interpolated. The code's pruning of tokens in the calls that
 * remain is left out: it saves more, and changes more.
 */
export const SADA: PolicyFamily<LagrangeSettings> = {
  name: 'sada',
  reference:
    'Jiang and others: SADA: Stability-guided Adaptive Diffusion Acceleration, ICML 2025 (github.com/Ting-Justin-Jiang/sada-icml), settings of sd_demo.py, without token pruning',
  defaults: { from: 0.2, to: 0.94, lagrangeFrom: 0.48, every: 4, terms: 4, maxSkips: 4 },
  front: [
    { lagrangeFrom: 1, maxSkips: 1 },
    { lagrangeFrom: 1, maxSkips: 2 },
    { lagrangeFrom: 1 },
    { every: 2 },
    { every: 3 },
    {},
  ],
  begin(settings, run) {
    const late = new LagrangePart(settings, run);
    const past: Past[] = [];
    let computed: Float32Array;
    return async (call) => {
      const before = past.at(-1);
      const guess = before && past.length > 2 ? extrapolated(past) : undefined;
      const skip = late.decide(call.index - 1, () => {
        if (!guess) return false;
        const [g2, g1, g0] = past.slice(-3).map(({ gradient }) => gradient) as [
          Float32Array,
          Float32Array,
          Float32Array,
        ];
        return meanProduct(mix([1, call.input], [-1, guess]), mix([1, g0], [-2, g1], [1, g2])) <= 0;
      });
      let output: Float32Array;
      if (skip === 'none') {
        computed = (await call.full()).guided;
        output = computed;
      } else {
        const clean = skip === 'lagrange' ? late.interpolated(call) : call.toClean(computed, guess);
        output = call.fromClean(clean);
      }
      late.keep(call, output);
      // Of skipped calls, too, it is the last computed output that the gradient is of.
      const beta = run.betas[Math.round(run.timesteps[call.index] as number)] as number;
      past.push({ input: call.input, gradient: gradientOf(call, computed, beta) });
      return output;
    };
  },
};

/** Of the ordinary differential equation: 0.5 beta (noise - sigma x) / sigma. */
function gradientOf(call: LabCall, output: Float32Array, beta: number): Float32Array {
  const { sigma } = call.inputLevel;
  return mix([(0.5 * beta) / sigma, call.toNoise(output)], [-0.5 * beta, call.input]);
}

/** From the last input, by the last three gradients. */
function extrapolated(past: readonly Past[]): Float32Array {
  const [g2, g1, g0] = past.slice(-3) as [Past, Past, Past];
  return mix([1, g0.input], [-0.625, g0.gradient], [-0.75, g1.gradient], [0.375, g2.gradient]);
}
