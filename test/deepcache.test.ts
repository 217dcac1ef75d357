import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import {
  branchCount,
  branchFromDdpm,
  branchFromHelper,
  branchFromLdm,
  branchFromPaperCode,
  branchFromPaperText,
  branchFromSvd,
  type CacheOptions,
  fullCalls,
  helperIndices,
  paperSchedule,
  resolveCache,
  validateBranch,
} from '../lib/deepcache/index.js';
import { Scheduler } from '../lib/schedulers/index.js';
import { checkStepList, type StepListRow } from './conformance/deepcache-lists.js';

const invalid = (named: string) =>
  expect.objectContaining({
    code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
    message: expect.stringContaining(named),
  });
const calls = (count: number) => Array.from({ length: count }, (_, i) => count - i);
/** The indices of the full calls. */
const full = (...args: Parameters<typeof fullCalls>) =>
  fullCalls(...args).flatMap((yes, i) => (yes ? [i] : []));

describe('fullCalls', () => {
  test('uniform: every interval-th call', () => {
    expect(full({ interval: 3 }, calls(10))).toEqual([0, 3, 6, 9]);
    expect(full({ interval: 1 }, calls(3))).toEqual([0, 1, 2]);
    expect(full({ interval: 99 }, calls(3))).toEqual([0]);
    expect(full(false, calls(3))).toEqual([0, 1, 2]);
  });

  test('an explicit list; the first call is always full', () => {
    expect(full({ steps: [2, 5] }, calls(6))).toEqual([0, 2, 5]);
    expect(full({ steps: [0, 1] }, calls(6))).toEqual([0, 1]);
  });

  test('nonuniform as the paper makes it, for the calls of the run', () => {
    const options = { interval: 5, schedule: 'nonuniform', center: 15, power: 1.4 } as const;
    expect(full(options, calls(50))).toEqual(paperSchedule(50, 5, { center: 15, power: 1.4 }));
    expect(full({ interval: 5, schedule: 'nonuniform' }, calls(50))).toEqual(
      paperSchedule(50, 5, { center: 15, power: 1.4 }),
    );
    expect(full({ interval: 1, schedule: 'nonuniform' }, calls(4))).toEqual([0, 1, 2, 3]);
    expect(full({ interval: 2, schedule: 'nonuniform' }, calls(20))).toEqual(
      paperSchedule(20, 2, { center: 6, power: 1.4 }),
    );
    // Rounded: the center down, the number of full calls up.
    expect(full({ interval: 5, schedule: 'nonuniform' }, calls(52))).toEqual(
      paperSchedule(52, 5, { center: 15, power: 1.4 }),
    );
    expect(full({ interval: 5, schedule: 'nonuniform' }, calls(52))).toHaveLength(11);
    for (const center of [0, 20]) {
      expect(full({ interval: 5, schedule: 'nonuniform', center }, calls(20))).toEqual(
        paperSchedule(20, 5, { center, power: 1.4 }),
      );
    }
  });

  test('presets, which stand back with few calls', () => {
    expect(full('balanced', calls(9))).toEqual([0, 3, 6]);
    expect(full('quality', calls(9))).toEqual([0, 2, 4, 6, 8]);
    expect(full('fast', calls(9))).toEqual([0, 5]);
    expect(full('fast', calls(8))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(resolveCache('fast', 8).note).toMatch(/not used.*8 U-Net calls/);
    expect(resolveCache('fast', 9).note).toBeUndefined();
    expect(full({ interval: 2 }, calls(4))).toEqual([0, 2]);
  });

  test.each<[string, unknown]>([
    ['cache.interval', { interval: 0 }],
    ['cache.interval', { interval: -2 }],
    ['cache.interval', { interval: 2.5 }],
    ['cache.interval', { interval: Number.NaN }],
    ['cache.interval', { interval: '3' }],
    ['interval', {}],
    ['cache.branch', { interval: 2, branch: -1 }],
    ['cache.branch', { interval: 2, branch: 0.5 }],
    ['cache.schedule', { interval: 2, schedule: 'quad' }],
    ['cache.counter', { interval: 2, counter: 'timesteps' }],
    ['cache.counter', { interval: 2, counter: 'helper', schedule: 'nonuniform' }],
    ['cache.center', { interval: 2, center: 3 }],
    ['center', { interval: 2, schedule: 'nonuniform', center: 99 }],
    ['power', { interval: 2, schedule: 'nonuniform', power: 1 }],
    ['cache.power', { interval: 2, schedule: 'nonuniform', power: 101 }],
    ['cache.power', { interval: 2, power: 2 }],
    ['power', { interval: 2, schedule: 'nonuniform', power: Number.NaN }],
    ['cache.steps', { steps: [] }],
    ['cache.steps', { steps: [0, 3, 2] }],
    ['cache.steps', { steps: [0, 3, 3] }],
    ['cache.steps[1]', { steps: [0, 10] }],
    ['cache.steps[0]', { steps: [-1] }],
    ['cache.steps[0]', { steps: [1.5] }],
    ['cache.interval', { steps: [0], interval: 2 }],
    ['cache.schedule', { steps: [0], schedule: 'uniform' }],
    ['cache.counter', { steps: [0], counter: 'calls' }],
    ['cache.cacheInterval', { cacheInterval: 2 }],
    ['cache', 'slow'],
    ['cache', true],
    ['cache', null],
    ['cache', [0, 1]],
  ])('names %s in %j', (named, options) => {
    expect(() => fullCalls(options as CacheOptions, calls(10))).toThrow(invalid(named));
  });
});

describe('the helper counter', () => {
  const SD = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: 'scaled_linear', steps_offset: 1 };
  const timesteps = (config: Record<string, unknown>, steps: number) =>
    Scheduler.fromConfig({ ...SD, ...config }).compile({ steps }).timesteps;
  const helper = (interval: number) => ({ interval, counter: 'helper' }) as const;

  test('PNDM: the repeated timestep gets the index of the first, the next one skips', () => {
    const list = timesteps({ _class_name: 'PNDM', skip_prk_steps: true }, 8);
    expect(helperIndices(list, list)).toEqual([0, 1, 1, 3, 4, 5, 6, 7, 8]);
    expect(full(helper(2), list)).toEqual([0, 4, 6, 8]);
    expect(full(helper(3), list)).toEqual([0, 3, 6]);
    expect(full({ interval: 2 }, list)).toEqual([0, 2, 4, 6, 8]);
  });

  test('Heun: with an even interval only the first call is full', () => {
    const list = timesteps({ _class_name: 'Heun' }, 10);
    expect(full(helper(2), list)).toEqual([0]);
    expect(full(helper(3), list)).toEqual([0, 3, 4, 9, 10, 15, 16]);
  });

  test('Karras timesteps that round to the same number', () => {
    const list = timesteps({ _class_name: 'DPMSolver', use_karras_sigmas: true }, 50);
    const indices = helperIndices(list, list);
    expect(indices.flatMap((index, i) => (index === i ? [] : [i]))).toEqual([48]);
  });

  test('a run that starts inside counts from its first call', () => {
    const list = timesteps({ _class_name: 'PNDM', skip_prk_steps: true }, 12);
    expect(helperIndices(list.slice(2), list)).toEqual([1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(full(helper(3), list.slice(2), list)).toEqual([0, 2, 5, 8]);
    expect(full(helper(2), list.slice(2), list)).toEqual([0, 1, 3, 5, 7, 9]);
    expect(() => helperIndices([12345], list)).toThrow(invalid('12345'));
  });
});

describe('the paper', () => {
  const folder = new URL('fixtures/deepcache/', import.meta.url);
  const rows = JSON.parse(readFileSync(new URL('step_lists.json', folder), 'utf8')) as StepListRow[];

  test.each(rows)('steps $steps, interval $interval, center $center, power $pow', (row) => {
    expect(checkStepList(row)).toMatchObject({ ok: true });
  });

  test('another power gives another list', () => {
    const row = rows.find(
      (r) => r.steps === 100 && r.indices && r.pow === r.pow_used && !r.fragile,
    ) as StepListRow;
    expect(checkStepList({ ...row, pow: row.pow + 0.3 })).toMatchObject({ ok: false });
  });

  test('counts inference steps, so that the last call of PNDM is never full', () => {
    expect(paperSchedule(10, 2)).toEqual([0, 2, 4, 6, 8]);
    expect(full({ steps: paperSchedule(10, 2) }, calls(11))).toEqual([0, 2, 4, 6, 8]);
    expect(full({ interval: 2 }, calls(11))).toEqual([0, 2, 4, 6, 8, 10]);
    expect(paperSchedule(5, 1, { center: 2, power: 1.4 })).toEqual([0, 1, 2, 3, 4]);
    expect(() => paperSchedule(10, 0)).toThrow(invalid('interval'));
    expect(() => paperSchedule(0, 2)).toThrow(invalid('numInferenceSteps'));
    expect(() => paperSchedule(10, 2, { center: 5, power: 1.2 })).toThrow(invalid('power'));
  });
});

describe('branches', () => {
  const sd15 = { levels: 4, layersPerBlock: 2 };
  const sdxl = { levels: 3, layersPerBlock: 2 };

  test('the range follows from levels and layers per block', () => {
    expect([branchCount(4, 2), branchCount(3, 2), branchCount(2, 1)]).toEqual([12, 9, 4]);
    expect(validateBranch(11, 4, 2)).toBe(11);
    for (const bad of [12, -1, 1.5, Number.NaN]) {
      expect(() => validateBranch(bad, 4, 2)).toThrow(
        invalid('cache.branch must be a whole number from 0 to 11'),
      );
    }
    expect(() => validateBranch(9, 3, 2)).toThrow(invalid('0 to 8'));
  });

  test('the numbers of the paper code, except pairs that cache nothing there', () => {
    const sd = (layer: number, block: number) =>
      branchFromPaperCode(layer, block, { ...sd15, attentionBlocks: 3 });
    expect([sd(0, 0), sd(0, 2), sd(1, 1), sd(2, 1)]).toEqual([1, 3, 5, 8]);
    for (const [layer, block] of [
      [2, 2],
      [3, 0],
      [0, 3],
      [4, 0],
      [-1, 0],
    ] as const) {
      expect(() => sd(layer, block)).toThrow(invalid(''));
    }
    expect([0, 1, 2].map((block) => branchFromPaperCode(1, block, sdxl))).toEqual([4, 5, 6]);
    expect(branchFromPaperCode(2, 1, sdxl)).toBe(8);
    expect(() => branchFromPaperCode(2, 2, sdxl)).toThrow(invalid('caches nothing'));
    expect(branchFromPaperCode(1, 0, { levels: 3, layersPerBlock: 1 })).toBe(3);
  });

  test('DDPM, SVD, LDM and the text of the paper', () => {
    expect([branchFromDdpm(0, sd15), branchFromDdpm(10, sd15)]).toEqual([1, 11]);
    expect(branchFromSvd(2, sd15)).toBe(3);
    expect(branchFromLdm()).toBe(0);
    expect([branchFromPaperText(1, sd15), branchFromPaperText(12, sd15)]).toEqual([0, 11]);
    expect(() => branchFromDdpm(11, sd15)).toThrow(invalid('branch'));
    expect(() => branchFromSvd(11, sd15)).toThrow(invalid('branch'));
    expect(() => branchFromPaperText(0, sd15)).toThrow(invalid('skipBranch'));
  });
});

test('blocks of different numbers of layers are counted one after the other', () => {
  const layout = { levels: 3, layersPerBlock: [1, 3, 2] };
  expect(branchCount(3, layout.layersPerBlock)).toBe(9);
  expect(validateBranch(8, 3, layout.layersPerBlock)).toBe(8);
  expect(() => validateBranch(9, 3, layout.layersPerBlock)).toThrow(invalid('0 to 8'));
  const ids = Array.from({ length: 9 }, (_, id) => branchFromHelper(id, layout));
  expect(ids).toEqual([0, 1, 1, 2, 3, 4, 6, 7, 8]);
  expect(branchFromPaperCode(1, 2, layout)).toBe(5);
  expect(() => branchFromPaperCode(0, 2, layout)).toThrow(invalid('block'));
});

test("the helper's numbers, three for every block", () => {
  const of = (layersPerBlock: number) =>
    Array.from({ length: 9 }, (_, id) => branchFromHelper(id, { levels: 3, layersPerBlock }));
  expect(of(2)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(of(1)).toEqual([0, 1, 1, 2, 3, 3, 4, 5, 5]);
  expect(() => branchFromHelper(9, { levels: 3, layersPerBlock: 1 })).toThrow(/cache_branch_id.*0 to 8/);
});
