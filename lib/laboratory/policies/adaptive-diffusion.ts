import type { PolicyFamily } from '../policy.js';
import { meanAbsolute } from '../vectors.js';

/** Calls that are full in any case: before, there are no three changes to compare. */
const FIRST = 4;

/**
 * The noise prediction is reused while the latents change evenly: a change lies close to the middle of those before and
 * after it (a difference of third order).
 */
export const ADAPTIVE_DIFFUSION: PolicyFamily<{ threshold: number; maxSkips: number }> = {
  name: 'adaptive-diffusion',
  reference:
    'Ye and others: Training-Free Adaptive Diffusion with Bounded Difference Approximation Strategy, NeurIPS 2024 (arXiv 2410.09873), as its code for Stable Diffusion does',
  defaults: { threshold: 0.01, maxSkips: 4 },
  front: [0.005, 0.01, 0.02, 0.05, 0.15].map((threshold) => ({ threshold })),
  begin({ threshold, maxSkips }) {
    let before: Float32Array | undefined;
    let noise: Float32Array | undefined;
    const changes: number[] = [];
    /** Whether calls from the fourth on were full. */
    const full: boolean[] = [];
    return async (call) => {
      const { index, latents } = call;
      // What the code keeps are latents behind a call: those before the first one count for nothing.
      if (before && index > 1) changes.push(meanAbsolute(latents, before));
      before = latents;
      const [third = 0, second = 0, last = 0] = changes.slice(-3);
      const isEven = Math.abs((last + third) / 2 - second) <= second * threshold;
      const hasSkippedMost = full.length > 4 && !full.slice(-maxSkips).includes(true);
      const isFull = index < FIRST || hasSkippedMost || !isEven;
      if (index >= FIRST) full.push(isFull);
      if (!isFull && noise) return call.fromNoise(noise);
      const { guided } = await call.full();
      noise = call.toNoise(guided);
      return guided;
    };
  },
};
