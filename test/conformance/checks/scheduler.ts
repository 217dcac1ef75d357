import { brownianValues } from '../../../lib/math/brownian-motion.js';
import { seedWords } from '../../../lib/math/seed-sequence.js';
import { native } from '../../../lib/native/binding.js';
import { betaQuantile } from '../../../lib/schedulers/beta-quantile.js';
import { DDIMScheduler, EulerDiscreteScheduler } from '../../../lib/schedulers/index.js';
import { spaceSigmas } from '../../../lib/schedulers/sigma-spacing.js';
import { countOf } from '../../../lib/tensor.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { GoldenTensor } from '../safetensors.js';
import { checkSchedulerTrace, goldenScheduler, type SchedulerCase } from '../schedulers.js';

const EXACT = { atol: 0, rtol: 0 };

const numbers = ({ data }: GoldenTensor) => Array.from(data as ArrayLike<number | bigint>, Number);

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

/** The ways of a Brownian motion between times, and the seeds that they begin with. */
export async function checkBrownian(golden: GoldenCase, findings: Findings): Promise<void> {
  const [low, high] = ['t0', 't1'].map((name) => golden.field<number>(name) as number) as [number, number];
  const entropy = BigInt(golden.field<number>('entropy') as number);
  const poolSize = golden.field<number>('pool_size') as number;
  findings.values(
    'root_seeds',
    seedWords({ entropy, poolSize }, 2),
    numbers(golden.tensor('root_seeds')),
    EXACT,
  );
  const times = numbers(golden.tensor('queries'));
  const count = countOf(golden.field<number[]>('shape') ?? []);
  const normal = async (seed: number) => new (native().Generator)(BigInt(seed)).randn(count);
  const valueAt = await brownianValues({ low, high, entropy }, times, normal);
  const ways: number[] = [];
  for (let i = 0; i < times.length; i += 2) {
    const [start, end] = [valueAt(times[i] as number), valueAt(times[i + 1] as number)];
    ways.push(...end.map((value, k) => value - (start[k] as number)));
  }
  findings.tensor('W', ways);
}
