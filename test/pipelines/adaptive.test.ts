import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { AdaptivePolicy, type AdaptiveSettings } from '../../lib/deepcache/adaptive.js';
import type { StableDiffusionPipeline } from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { planRun, runLoop } from '../../lib/pipelines/loop/denoise.js';
import type { StepEvent } from '../../lib/pipelines/outputs/result.js';
import { endFields } from '../../lib/pipelines/outputs/settings.js';
import { PhaseClock, runStats } from '../../lib/pipelines/outputs/stats.js';
import { Scheduler } from '../../lib/schedulers/index.js';
import { loadTiny, sameBits } from './tiny.js';

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

const PARTS = { backend: { device: 'cpu', dtype: 'fp32' }, models: {} } as Parameters<typeof endFields>[0];
const numbers = (count: number, seed: bigint) => new (native().Generator)(seed).randn(count) as Float32Array;

/** A run of eight calls, and what it says about itself. */
async function run(settings?: Omit<AdaptiveSettings, 'maxSkips'>) {
  const scheduler = Scheduler.fromConfig({ _class_name: 'DDIM', beta_schedule: 'scaled_linear' });
  const plan = planRun(
    scheduler,
    pipe.unet.native,
    {
      steps: 8,
      guided: true,
      guidance: 5,
      guidanceRescale: 0,
      span: {},
      output: 'latent',
      images: 1,
      latent: [1, 4, 8, 8],
      ...(settings && { policy: new AdaptivePolicy({ ...settings, maxSkips: 2 }) }),
    },
    () => {},
  );
  const events: StepEvent[] = [];
  const loop = await runLoop(
    pipe.unet,
    {
      batch: 1,
      outputs: 2,
      height: 8,
      width: 8,
      table: plan.table,
      latents: numbers(4 * 8 * 8, 1n),
      context: numbers(2 * 77 * 32, 2n),
      contextLength: 77,
    },
    plan,
    { onStep: (event) => void events.push(event) } as Parameters<typeof runLoop>[3],
  );
  return {
    latents: loop.latents,
    full: events.map((event) => event.full),
    kinds: loop.calls.map(({ kind }) => kind),
    changes: loop.calls.map(({ change }) => change),
    stats: runStats(new PhaseClock(), loop.calls, { weights: 0, arenas: 0, buffers: 0 }),
    told: endFields(PARTS, undefined, loop.calls)['Full calls'],
  };
}

const retrieve = { kind: 'retrieve', branch: 2 } as const;
const predict = { kind: 'predict', terms: [{ slot: 'm', coefficient: 1 }] } as const;

test('a threshold of 0 skips nothing, bit for bit', async () => {
  const plain = await run();
  const { latents, kinds, changes, stats, told } = await run({ threshold: 0, instead: retrieve });
  expect(sameBits(latents, plain.latents)).toBe(true);
  expect(kinds).toEqual(new Array(8).fill('full'));
  expect(changes[0]).toBeUndefined();
  for (const change of changes.slice(1)) expect(change).toBeGreaterThan(0);
  expect(stats).toMatchObject({ calls: 8, fullCalls: 8, retrieveCalls: 0 });
  expect(told).toBe(false);
});

test('an infinite one skips as often as it may, and all that is told says so', async () => {
  const { full, kinds, changes, stats, told } = await run({ threshold: Infinity, instead: retrieve });
  const yes = [true, false, false, true, false, false, true, false];
  expect(full).toEqual(yes);
  expect(kinds).toEqual(yes.map((isFull) => (isFull ? 'full' : 'retrieve')));
  // Where there is no choice nothing is measured.
  expect(changes.map((change) => change !== undefined)).toEqual(yes.map((isFull) => !isFull));
  expect(stats).toMatchObject({ calls: 8, fullCalls: 3, retrieveCalls: 5 });
  expect(told).toBe('3 of 8');
});

test('guesses are no calls of the U-Net', async () => {
  const { full, kinds, stats, told } = await run({ threshold: Infinity, instead: predict });
  expect(full.filter(Boolean)).toHaveLength(3);
  expect(kinds.filter((kind) => kind === 'predict')).toHaveLength(5);
  expect(stats).toMatchObject({ calls: 8, fullCalls: 3, retrieveCalls: 0, predictedCalls: 5 });
  expect(stats.callTimes.retrieve).toBe(0);
  expect(told).toBe('3 of 8');
});

test('between them the change decides', async () => {
  const all = await run({ threshold: 0, instead: retrieve });
  const measured = all.changes.slice(1) as number[];
  // Between the first two calls' change and the larger ones.
  const threshold = (measured[0] as number) * 1.01;
  const { kinds, changes } = await run({ threshold, instead: retrieve });
  expect(kinds[1]).toBe('retrieve');
  for (const [i, change] of changes.entries()) {
    if (change !== undefined) expect(kinds[i]).toBe(change < threshold ? 'retrieve' : 'full');
  }
  expect(new Set(kinds.slice(1)).size).toBe(2);
});
