import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type CacheOptions, type CacheSettings, SettingsPolicy } from '../../lib/deepcache/index.js';
import type { StableDiffusionPipeline } from '../../lib/index.js';
import { policiesOf } from '../../lib/laboratory/catalog.js';
import { laidOut, policyOfCache } from '../../lib/laboratory/policies/laid-out.js';
import type { LabPolicy } from '../../lib/laboratory/policy.js';
import { runPolicy } from '../../lib/laboratory/run-policy.js';
import { relativeL2 } from '../../lib/metrics/index.js';
import type { GenerateOptions } from '../../lib/pipelines/inputs/options.js';
import type { TensorResult } from '../../lib/pipelines/outputs/result.js';
import type { SchedulerName } from '../../lib/schedulers/index.js';
import { loadTiny } from '../pipelines/tiny.js';

let pipe: StableDiffusionPipeline;
let shares: number[];
beforeAll(async () => {
  pipe = await loadTiny();
  shares = (await pipe.unet.branches()).map(({ share }) => share);
});
afterAll(() => pipe.dispose());

const OPTIONS: GenerateOptions = { prompt: 'a red house', steps: 9, seed: 3, guidanceScale: 4 };
const SAMPLERS: readonly SchedulerName[] = ['DDIM', 'EulerDiscrete', 'DPMSolverMultistep', 'UniPCMultistep'];
const CACHES: readonly CacheSettings[] = [
  { interval: 1 },
  { interval: 3, branch: 1 },
  { plan: 'FFPRFPPRF' },
  { plan: 'FPPRFPPRF', damping: 0.5, branch: 2 },
  {
    plan: 'FPFPFPFPP',
    gamma: [0, 0.4, 0.3, 0.2, 0.1],
    curve: [0, 0.5, 0.1, 0.2, 0.3],
    clean: [0.1, 0, 0, 0, 0.05],
  },
];

const table = SAMPLERS.flatMap((scheduler) => CACHES.map((cache) => ({ scheduler, cache })));

/** Settings as a policy that is stepped through. */
const stepped = (cache: CacheSettings): LabPolicy => ({
  ...policyOfCache(cache, 'cache'),
  branches: [cache.branch ?? 0],
  means: { begin: (run) => laidOut(new SettingsPolicy(cache), run) },
});

const nativeRun = async (run: GenerateOptions, cache: CacheOptions) =>
  (await pipe.generate({ ...run, cache, output: 'latent' } as never)) as unknown as TensorResult;

test.each(table)('a session is the step table of $scheduler with $cache', async ({ scheduler, cache }) => {
  const run: GenerateOptions = { ...OPTIONS, scheduler };
  const native = await nativeRun(run, cache);
  const { latents, cost, stats } = await runPolicy(pipe, run, stepped(cache), shares);
  expect(relativeL2(latents, native.tensor.data)).toBeLessThan(2e-5);
  const { fullCalls, retrieveCalls, predictedCalls } = native.stats;
  expect(stats).toMatchObject({ fullCalls, retrieveCalls, predictedCalls });
  expect(cost).toBeCloseTo(fullCalls + retrieveCalls * (shares[cache.branch ?? 0] as number), 9);
});

test.each<GenerateOptions & { cache: CacheOptions }>([
  { ...OPTIONS, scheduler: 'DDIM', cache: false },
  { ...OPTIONS, scheduler: 'DDIM', cache: { interval: 3, branch: 1, featureDamping: 0.5 } },
  { ...OPTIONS, scheduler: 'Euler a', cache: { plan: 'FFPRFPPRF', branch: 2 } },
  { ...OPTIONS, scheduler: 'Heun', cache: 'fast' },
])("settings of the option cache are the pipeline's own runs: $scheduler, $cache", async (given) => {
  const { cache, ...run } = given;
  const native = await nativeRun(run, cache);
  const made = await runPolicy(pipe, run, policyOfCache(cache, 'cache'), shares);
  expect(made.latents).toEqual(native.tensor.data);
  const { fullCalls, retrieveCalls } = native.stats;
  const branch = typeof cache === 'object' ? (cache.branch ?? 0) : 0;
  expect(made.cost).toBeCloseTo(fullCalls + retrieveCalls * (shares[branch] as number), 9);
});

test('calls behind a gate cost half, and what attention adds there', async () => {
  const run: GenerateOptions = { ...OPTIONS, scheduler: 'DDIM' };
  const gated = await runPolicy(pipe, run, policyOfCache({ interval: 1, gateStep: 4 }, 'cache'), shares);
  const [full, kept] = [await pipe.unet.macs(), await pipe.unet.macs({ cross: 'kept' })];
  const { calls } = gated.stats;
  expect(kept.complete).toBeLessThan(full.complete);
  expect(gated.cost).toBeCloseTo(4 + ((calls - 4) / 2) * (kept.complete / full.complete), 9);
  expect(gated.stats.computed).toEqual([
    { kind: 'full', outputs: 2, calls: 4 },
    { kind: 'full', outputs: 1, cross: 'kept', calls: calls - 4 },
  ]);
});

test('other guiders, and self-attention guidance, are refused for what is stepped through, not left out', async () => {
  const other = runPolicy(pipe, { ...OPTIONS, guider: 'apg' }, stepped({ interval: 3 }), shares);
  await expect(other).rejects.toThrow('guidance other than plain');
  for (const guidanceScale of [1, 5]) {
    const sag = { ...OPTIONS, guidanceScale, sagScale: 1 };
    await expect(runPolicy(pipe, sag, stepped({ interval: 3 }), shares)).rejects.toThrow(
      'self-attention guidance',
    );
  }
});

test.each(policiesOf('all'))('$name runs', async (policy) => {
  const run: GenerateOptions = { ...OPTIONS, steps: policy.steps(9), scheduler: 'DDIM' };
  const { latents, cost } = await runPolicy(pipe, run, policy, shares);
  expect(latents.every(Number.isFinite)).toBe(true);
  expect(cost).toBeGreaterThan(0);
  expect(cost).toBeLessThanOrEqual(9);
});
