// npx tsx bench/soak.ts [runs] [seed] [model folder]
//
// Many runs in a row as a server has them: all sizes, samplers and caches, aborts at random moments, mistakes, models
// that come and go, worker threads that are terminated in the middle. Fails when memory grows, when the same settings
// ever give other bits, or when anything ends otherwise than it should. Prints its figures as JSON.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { DiffusionPipeline, type GenerateOptions } from '../lib/index.js';
import {
  fingerprint,
  machine,
  mebibytes,
  median,
  memoryInUse,
  randomNumbers,
  TINY_MODEL,
} from './measure.js';

/** More than this between the first and the last third of the runs is a leak. One tiny model weighs 7.4 MiB. */
const ALLOWED_GROWTH = 12 * 2 ** 20;

// glibc keeps freed memory in an arena for each thread, up to 8 for each core: 50 MB that come and go. With a single
// arena what grows is ours.
if (!process.env.MALLOC_ARENA_MAX) {
  const env = { ...process.env, MALLOC_ARENA_MAX: '1' };
  const again = spawnSync(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    env,
    stdio: 'inherit',
  });
  process.exit(again.status ?? 1);
}

const [runs = 100, seed = 1] = process.argv.slice(2, 4).map(Number);
const folder = process.argv[4] ?? TINY_MODEL;
if (!Number.isInteger(runs) || runs < 10) throw new Error('give a number of runs of at least 10');
const random = randomNumbers(seed);
const oneOf = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

const SETTINGS: readonly GenerateOptions[] = [
  { prompt: 'a lighthouse', steps: 10, seed: 1 },
  { prompt: 'a lighthouse', steps: 10, seed: 1, cache: { interval: 3, branch: 0 } },
  { prompt: 'a lighthouse', steps: 12, seed: 2, cache: 'fast', scheduler: 'DDIM', eta: 1 },
  { prompt: 'two cats', steps: 8, seed: 3, scheduler: 'Euler', width: 72, height: 104 },
  { prompt: 'two cats', steps: 5, seed: 4, width: 256, height: 192, cache: { interval: 2, branch: 5 } },
  { prompt: ['a', 'b', 'c'], steps: 4, seeds: [1, 2, 3], cache: { steps: [0, 1] } },
  { prompt: 'a', steps: 6, seed: 5, numImages: 4, scheduler: 'LCM', guidanceScale: 1 },
  { prompt: 'a', negativePrompt: 'b', steps: 7, seed: 6, scheduler: 'UniPC', guidanceRescale: 0.7 },
  { prompt: 'a', steps: 4, seed: 7, scheduler: 'Heun', cache: { interval: 3, counter: 'helper' } },
  { prompt: 'a', steps: 9, seed: 8, scheduler: 'DPMSolver', clipSkip: 1, width: 8, height: 8 },
];

const MISTAKES: readonly object[] = [
  { steps: 0 },
  { guidanceScale: Number.NaN },
  { width: 63 },
  { cache: { interval: 2, branch: 99 } },
  { scheduler: 'Nope' },
  { latents: { data: new Float32Array(5), shape: [1, 4, 8, 8] } },
];

// Node.js 20 does not hand --import on to workers.
const START_WORKER = `
  import('tsx/esm/api').then(({ register }) => {
    register();
    return import(${JSON.stringify(new URL('./soak-worker.ts', import.meta.url).href)});
  });`;

const load = (path: string, threads = 0) =>
  DiffusionPipeline.fromPretrained(path, { device: 'cpu', threads, log: () => {} });
const pipe = await load(folder);
const known = new Map<GenerateOptions, string>();
const counts: Record<string, number> = {};

/** A run to its end: once known, its result must never change. */
async function complete(from: DiffusionPipeline = pipe, settings = oneOf(SETTINGS)): Promise<void> {
  const { images, stats } = await from.generate({ ...settings, previewEvery: 2, onStep: () => {} });
  const bits = images.map(({ data }) => fingerprint(data)).join();
  if (stats.calls < 1 || bits === '') throw new Error('a run without calls or images');
  if ((known.get(settings) ?? bits) !== bits) throw new Error(`${JSON.stringify(settings)} gave other bits`);
  known.set(settings, bits);
}

/** Expects `work` to be rejected with what `isExpected` accepts. */
async function rejected(work: Promise<unknown>, isExpected: (error: unknown) => boolean): Promise<void> {
  const failed = await work.then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  if (!failed || !isExpected(failed.error))
    throw failed?.error ?? new Error('a run that should fail did not');
}

const ACTIONS: Record<string, () => Promise<void>> = {
  complete,
  async together() {
    await Promise.all([complete(), complete(), complete()]);
  },
  async abort() {
    const controller = new AbortController();
    const run = pipe.generate({ ...oneOf(SETTINGS), signal: controller.signal });
    const outcome = run.catch((error) => {
      if (error !== controller) throw error;
    });
    await sleep(random() * 150);
    controller.abort(controller);
    await outcome;
  },
  async leaveStream() {
    const last = 1 + Math.floor(random() * 4);
    for await (const event of pipe.stream(oneOf(SETTINGS))) {
      if (event.type === 'step' && event.call === last) break;
    }
  },
  async mistake() {
    await rejected(pipe.generate({ ...oneOf(SETTINGS), ...oneOf(MISTAKES) }), (error) =>
      String((error as { code?: unknown }).code).startsWith('ERR_DEEPCACHE_'),
    );
  },
  async throwInCall() {
    const thrown = new Error('mine');
    const at = 1 + Math.floor(random() * 3);
    const onStep = ({ call }: { call: number }) => {
      if (call === at) throw thrown;
    };
    await rejected(pipe.generate({ ...oneOf(SETTINGS), onStep }), (error) => error === thrown);
  },
  async anotherModel() {
    const other = await load(folder, oneOf([1, 2, 3]));
    await Promise.all([complete(other), complete(pipe)]);
    const running = other.generate(oneOf(SETTINGS)).catch(() => {});
    await sleep(random() * 30);
    await other.dispose();
    await running;
  },
  async noModel() {
    await rejected(
      load(`${folder}/unet`),
      (error) => (error as { code?: unknown }).code === 'ERR_DEEPCACHE_INVALID_CONFIG',
    );
  },
  async worker() {
    const options = { ...oneOf(SETTINGS), width: 256, height: 256, steps: 20 };
    const worker = new Worker(START_WORKER, { eval: true, workerData: { folder, options } });
    await once(worker, 'message');
    await sleep(random() * 200);
    const ended = complete();
    await worker.terminate();
    await ended;
  },
};
/** Most of the time runs just run. */
const MIX = [...Array(8).fill('complete'), ...Array(4).fill('abort'), ...Object.keys(ACTIONS)] as string[];

// Every setting and every action once, for references and for what is allocated once only.
for (const settings of SETTINGS) await complete(pipe, settings);
for (const action of Object.values(ACTIONS)) await action();

const memory: number[] = [];
const started = performance.now();
for (let run = 0; run < runs; run++) {
  const name = oneOf(MIX);
  counts[name] = (counts[name] ?? 0) + 1;
  await (ACTIONS[name] as () => Promise<void>)();
  // The last run's size is what a pipeline holds: the same before each measurement.
  await complete(pipe, SETTINGS[4]);
  memory.push(await memoryInUse());
  if (process.stderr.isTTY)
    process.stderr.write(`\r${run + 1}/${runs} ${mebibytes(memory.at(-1) as number)} MiB `);
}
for (const settings of SETTINGS) await complete(pipe, settings);
await pipe.dispose();

const third = Math.floor(runs / 3);
const growth = median(memory.slice(-third)) - median(memory.slice(0, third));
const report = {
  benchmark: 'soak',
  ...machine(),
  runs,
  seed,
  seconds: Number(((performance.now() - started) / 1000).toFixed(1)),
  counts,
  memoryMiB: memory.filter((_, i) => i % Math.ceil(runs / 20) === 0 || i === runs - 1).map(mebibytes),
  growthMiB: mebibytes(growth),
  allowedMiB: mebibytes(ALLOWED_GROWTH),
};
console.log(JSON.stringify(report, null, 2));
if (growth > ALLOWED_GROWTH) {
  console.error(`memory grew by ${report.growthMiB} MiB`);
  process.exitCode = 1;
}
