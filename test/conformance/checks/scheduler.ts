import { betaQuantile } from '../../../lib/schedulers/beta-quantile.js';
import { DDIMScheduler, EulerDiscreteScheduler } from '../../../lib/schedulers/index.js';
import { spaceSigmas } from '../../../lib/schedulers/sigma-spacing.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import { checkSchedulerTrace, goldenScheduler, type SchedulerCase } from '../schedulers.js';

/** A sampler's tables and its steps with a fake model, or the tables of betas. */
export function checkScheduler(golden: GoldenCase, findings: Findings): void {
  const fields = golden.fields as unknown as SchedulerCase;
  const version = golden.sourceField<{ diffusers?: string }>('versions')?.diffusers;
  // A class that is not implemented is no failure.
  if (fields.scheduler) goldenScheduler(fields, version);
  const { ok, detail } = checkSchedulerTrace(fields, (role) => golden.tensor(role), version);
  findings.fact(golden.kind, ok, detail);
}

/** Betas without signal at the end, and what is left of it for both kinds of samplers. */
export function checkZeroSnrTables(golden: GoldenCase, findings: Findings): void {
  const config = golden.field<Record<string, unknown>>('config_given');
  const ddim = new DDIMScheduler(config);
  findings.tensor('betas', ddim.betas);
  findings.tensor('alphas_cumprod', ddim.alphasCumprod);
  findings.tensor('euler_alphas_cumprod', new EulerDiscreteScheduler(config).alphasCumprod);
}

/** The quantiles of a beta distribution. */
export function checkBetaQuantiles(golden: GoldenCase, findings: Findings): void {
  const [a, b] = [golden.field<number>('a') as number, golden.field<number>('b') as number];
  findings.tensor(
    'out',
    Array.from(golden.tensor('q').data as Float64Array, (q) => betaQuantile(q, a, b)),
  );
}

/** Sigmas spaced by them. */
export function checkBetaSigmas(golden: GoldenCase, findings: Findings): void {
  const [min, max, n] = ['sigma_min', 'sigma_max', 'n'].map((name) => golden.field<number>(name) as number);
  findings.tensor('out', spaceSigmas('beta', max as number, min as number, n as number));
}
