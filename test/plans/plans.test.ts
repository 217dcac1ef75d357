import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { DiffusionPipeline, type StableDiffusionPipeline } from '../../lib/index.js';
import { planPath } from '../../lib/plans/plan-file.js';
import { plannedRun } from '../../lib/plans/planned-run.js';
import { tune } from '../../lib/tune/index.js';
import { runCli } from '../cli-run.js';
import { FOLDER, latentsOf, rejection } from '../pipelines/tiny.js';

let root: string;
let folder: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'deepcache-plans-'));
  folder = join(root, 'model');
  cpSync(FOLDER, folder, { recursive: true });
});

afterEach(() => rm(root, { recursive: true, force: true }));

const load = async (log: (message: string) => void = () => {}) =>
  (await DiffusionPipeline.fromPretrained(folder, { device: 'cpu', log })) as StableDiffusionPipeline;

// DDIM makes one call a step.
const RUN = { scheduler: 'DDIM', steps: 12, guidanceScale: 3, width: 64, height: 64 } as const;
const PLAN = { plan: 'FRPFRRFPRFRR', gamma: [0.5, 0.25], branch: 1 };
const VALIDATION = { psnr: 40, evenPsnr: 30, worst: 35, evenWorst: 20, gain: 10, prompts: 2 };

/** As a search that found the plan for the options. */
const found = (pipe: StableDiffusionPipeline, options: object = {}) => ({
  cache: PLAN,
  speedup: 2,
  run: pipe.plannedRun({ prompt: 'a', ...RUN, ...options }),
  validation: VALIDATION,
});

test('a preset is the saved plan in runs that it was found for, now and when the model is loaded again', async () => {
  await using pipe = await load();
  const interval = await latentsOf(pipe, { ...RUN, cache: 'balanced' });
  const planned = await latentsOf(pipe, { ...RUN, cache: PLAN });
  expect(planned).not.toEqual(interval);
  expect(await pipe.plans?.save('balanced', found(pipe))).toBe(join(folder, 'deepcache-plans.json'));
  await using again = await load();
  for (const loaded of [pipe, again]) {
    expect(await latentsOf(loaded, { ...RUN, cache: 'balanced' })).toEqual(planned);
    // Other presets, settings of one's own, and other runs are as before.
    const fast = await latentsOf(loaded, { ...RUN, cache: 'fast' });
    expect(fast).toEqual(await latentsOf(loaded, { ...RUN, cache: { interval: 5 } }));
    for (const other of [
      { guidanceScale: 4 },
      { steps: 11 },
      { width: 128 },
      { eta: 0.5 },
      { guidanceRescale: 0.5 },
      { scheduler: 'Euler' },
      { scheduler: { _class_name: 'DDIMScheduler', beta_start: 0.001 } },
      { guider: 'apg' },
      { guider: 'cfg', guiderOptions: { stop: 0.5 } },
      { pagScale: 2 },
      { freeU: { b1: 1.1, b2: 1.2, s1: 0.9, s2: 0.8 } },
      { timesteps: [900, 800, 700, 600, 500, 400, 300, 200, 100], steps: undefined },
    ]) {
      const run = { ...RUN, ...other };
      expect(await latentsOf(loaded, { ...run, cache: 'balanced' })).toEqual(
        await latentsOf(loaded, { ...run, cache: { interval: 3 } }),
      );
    }
  }
});

test('a guider that is plain guidance makes no run another one', async () => {
  await using pipe = await load();
  await pipe.plans?.save('balanced', found(pipe));
  const run = { ...RUN, cache: 'balanced' };
  expect(await latentsOf(pipe, { ...run, guider: 'cfg' })).toEqual(await latentsOf(pipe, run));
});

test('no plan is for a run with guidance, networks or pictures that it was not found with', async () => {
  await using pipe = await load();
  const options = { ...RUN, span: {} };
  const runOf = (other: object) =>
    plannedRun('StableDiffusionPipeline', pipe.scheduler, { ...options, ...other });
  expect(runOf({})).toBeDefined();
  const image = { data: new Float32Array(3 * 64 * 64), shape: [1, 3, 64, 64] };
  for (const other of [
    { sagScale: 0.5 },
    { controlImage: image },
    { t2iAdapterImage: image },
    { ipAdapterImage: image },
    { ipAdapterImageEmbeds: [image] },
  ])
    expect(runOf(other)).toBeUndefined();
});

test("a picture's settings have the plan itself, which needs no file", async () => {
  await using pipe = await load();
  await pipe.plans?.save('fast', found(pipe));
  const { settings, stats } = await pipe.generate({ prompt: 'a', seed: 1, ...RUN, cache: 'fast' });
  expect(settings[0]).toContain(JSON.stringify(JSON.stringify(PLAN)));
  expect(stats).toMatchObject({ fullCalls: 4, retrieveCalls: 6, predictedCalls: 2 });
});

test('plans are replaced by later ones for the same runs, and kept beside others', async () => {
  await using pipe = await load();
  await pipe.plans?.save('fast', found(pipe));
  await pipe.plans?.save('fast', found(pipe, { steps: 13 }));
  await pipe.plans?.save('quality', found(pipe));
  await pipe.plans?.save('fast', { ...found(pipe), speedup: 3 });
  expect(pipe.plans?.list.map(({ preset, run, figures }) => [preset, run.steps, figures.speedup])).toEqual([
    ['fast', 13, 2],
    ['quality', 12, 2],
    ['fast', 12, 3],
  ]);
});

test('what is no better than what anybody would try is not saved', async () => {
  await using pipe = await load();
  const save = (changed: object) =>
    rejection(pipe.plans?.save('fast', { ...found(pipe), ...changed }) as Promise<string>);
  for (const [changed, message] of [
    [{ validation: { ...VALIDATION, psnr: 30 } }, /no better than equal intervals/],
    [{ validation: undefined }, /not tried on other prompts/],
    [{ fewerSteps: { steps: 6, psnr: 41 } }, /no better than 6 steps/],
    [
      { run: pipe.plannedRun({ prompt: 'a', ...RUN, eta: 1 }) },
      /a schedule, guidance, FreeU, networks or size of their own/,
    ],
    [{ cache: { ...PLAN, gateStep: 8 } }, /result\.cache\.gateStep cannot be part of a plan/],
  ] as const) {
    const { code, message: said } = await save(changed);
    expect(code).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
    expect(said).toMatch(message);
  }
  expect(pipe.plans?.list).toEqual([]);
});

test('plans of another model are not used, and the log says so', async () => {
  await using pipe = await load();
  await pipe.plans?.save('fast', found(pipe));
  const path = join(folder, 'unet', 'config.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace('{', '{ "_note": "another one", '));
  const said: string[] = [];
  await using other = await load((message) => said.push(message));
  expect(other.plans?.list).toEqual([]);
  expect(said.join()).toMatch(/deepcache-plans\.json: is not used: its plans were found for another model/);
  // What is found for it replaces them.
  await other.plans?.save('quality', found(other));
  await using again = await load();
  expect(again.plans?.list).toHaveLength(1);
});

test('a file that is wrong is named, with the field', async () => {
  await using pipe = await load();
  const path = (await pipe.plans?.save('fast', found(pipe))) as string;
  const text = readFileSync(path, 'utf8');
  for (const [from, to, message] of [
    ['"format": 1', '"format": 2', /"format" must be 1/],
    ['"fast"', '"fastest"', /plans\[0\]\.preset must be one of quality, balanced, fast/],
    ['"FRPFRRFPRFRR"', '"XRPFRRFPRFRR"', /plan must be a letter for each/],
    ['"steps": 12', '"steps": "12"', /plans\[0\]\.run\.steps/],
    ['"speedup": 2', '"speedup": null', /plans\[0\]\.figures\.speedup/],
    ['"branch": 1', '"gateStep": 5', /plans\[0\]\.cache\.gateStep cannot be part of a plan/],
    ['"pipeline"', '"pipe"', /plans\[0\]\.run\.pipeline must be the name of a class/],
  ] as const) {
    expect(text).toContain(from);
    writeFileSync(path, text.replace(from, to));
    const { code, message: said } = await rejection(load());
    expect(code).toBe('ERR_DEEPCACHE_INVALID_CONFIG');
    expect(said).toContain(path);
    expect(said).toMatch(message);
  }
});

test("a single file's plans lie beside it", () => {
  expect(planPath('/models/dream.v2.safetensors')).toBe('/models/dream.v2.deepcache-plans.json');
  expect(planPath(folder)).toBe(join(folder, 'deepcache-plans.json'));
});

test('a search for a preset is one for its speed, and says what fewer steps come to', async () => {
  await using pipe = await load();
  const prompts = { prompts: ['a red house'], validationPrompts: ['a cat'] };
  const options = { ...RUN, guidanceScale: 3 };
  const result = await tune(
    pipe,
    options,
    { preset: 'balanced' },
    { ...prompts, branches: [0], maxRuns: 30 },
  );
  expect(result.isWithin).toBe(true);
  expect(result.run).toEqual(pipe.plannedRun({ prompt: 'a', ...options }));
  // The preset's own list, or one that is as fast and closer.
  expect(result.even.steps.length).toBeLessThanOrEqual(4);
  expect(result.fewerSteps?.steps).toBe(Math.floor(12 / result.speedup));
  expect(result.validation?.prompts).toBe(1);
  const wrong = tune(pipe, options, { preset: 'turbo' as 'fast' }, prompts);
  await expect(wrong).rejects.toThrow(/preset must be one of quality, balanced, fast/);
});

test('the command saves for a preset, or says why not', async () => {
  const run = [
    'tune',
    '-m',
    folder,
    '-p',
    'a dog',
    '--scheduler',
    'DDIM',
    '--steps',
    '10',
    '--branches',
    '0',
  ];
  const short = ['--max-runs', '4'];
  expect(await runCli([...run, '--speedup', '1.1', '--save'])).toMatchObject({
    code: 2,
    err: expect.stringMatching(/--save needs --preset/),
  });
  const { code, out, err } = await runCli([
    ...run,
    ...short,
    '--preset',
    'quality',
    '--save',
    '--no-predict',
  ]);
  expect(out).toMatch(/steps without a cache: [\d.]+ \/ [\d.]+ dB/);
  // Which it is depends on what the calls took.
  expect(`${code} ${err}`).toMatch(
    /^0 .*cache "quality" of such runs is this now|^1 .*not saved: what was found is no better than/,
  );
});
