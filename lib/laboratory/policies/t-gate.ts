import type { PolicyFamily } from '../policy.js';

/** Cross attention, and guidance with it, up to a gate; with an interval, DeepCache beside it. */
export const T_GATE: PolicyFamily<{
  gate: number;
  spInterval: number;
  fiInterval: number;
  warmUp: number;
  interval: number;
  branch: number;
}> = {
  name: 't-gate',
  reference: 'Zhang and others: Cross-Attention Makes Inference Cumbersome (T-GATE), arXiv 2404.02747',
  // Its program has step 10 of 25.
  defaults: { gate: 0.4, spInterval: 1, fiInterval: 1, warmUp: 2, interval: 1, branch: 0 },
  front: [
    { gate: 0.6 },
    {},
    { gate: 0.2 },
    { spInterval: 5 },
    { gate: 0.6, interval: 3 },
    { interval: 3 },
    { interval: 5 },
    { gate: 0.2, interval: 5 },
  ],
  cache: ({ gate, ...settings }, steps) => ({
    ...settings,
    gateStep: Math.max(1, Math.round(gate * steps)),
  }),
};
