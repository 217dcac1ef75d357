import type { PolicyFamily } from '../policy.js';

/** Fewer steps, all in full: what every cache has to beat. */
export const FEWER_STEPS: PolicyFamily<{ share: number }> = {
  name: 'fewer-steps',
  reference: 'the sampler itself',
  defaults: { share: 0.5 },
  front: [0.68, 0.48, 0.4, 0.32, 0.24, 0.2].map((share) => ({ share })),
  steps: ({ share }, steps) => Math.max(1, Math.round(share * steps)),
  begin: () => async (call) => (await call.full()).guided,
};

/** Guidance in a part of the run; the other calls compute the output for the prompt alone. */
export const GUIDANCE_INTERVAL: PolicyFamily<{ from: number; to: number }> = {
  name: 'guidance-interval',
  reference:
    'Kynkäänniemi and others: Applying Guidance in a Limited Interval, NeurIPS 2024 (arXiv 2404.07724)',
  defaults: { from: 0, to: 0.6 },
  front: [{ to: 0.8 }, { to: 0.6 }, { to: 0.4 }, { from: 0.12, to: 0.6 }, { from: 0.2, to: 0.4 }],
  begin:
    ({ from, to }, { calls }) =>
    async (call) => {
      const isInside = call.index >= from * calls && call.index < to * calls;
      return (await call.full(isInside ? 'all' : 'conditional')).guided;
    },
};
