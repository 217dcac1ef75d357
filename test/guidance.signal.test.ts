import { expect, test } from '@jest/globals';
import type { RunOptions } from '../lib/pipelines/inputs/options.js';
import { planRun } from '../lib/pipelines/loop/denoise.js';
import { schedulerNames } from '../lib/schedulers/index.js';
import { stable } from './sample.js';

/** Samplers that scale what the model gives, or take it for something else than noise. */
const OTHERS = /EDM|Cosine|FlowMatch|IPNDM|RePaint/;

test.each(schedulerNames().filter((name) => !OTHERS.test(name)))(
  '%s: latents are degraded by as much of their clean ones as a row finds in them',
  (name) => {
    const run = { guided: true, guidance: 5, guidanceRescale: 0, sagScale: 1, span: {} };
    const options = { ...run, steps: 7, images: 1, latent: [1, 4, 8, 8], output: 'image' } as const;
    const facts = { levels: 4, layersPerBlock: 2, contextWidth: 32 };
    const { rows } = planRun(stable(name), facts, options as RunOptions, () => {}).table;
    // x = a x0 + s m gives x0 = (x - s m) / a.
    for (const { signal, x0 } of rows) expect(Number(signal) * Number(x0.x)).toBeCloseTo(1, 9);
  },
);
