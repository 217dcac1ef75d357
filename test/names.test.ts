import { describe, expect, test } from '@jest/globals';
import { type CacheOptions, resolveCache } from '../lib/entries/schedulers.js';
import { DiffusionPipeline } from '../lib/index.js';
import { checkNames, closest } from '../lib/names.js';

const KNOWN = ['prompt', 'steps', 'guidanceScale', 'numInferenceSteps', 'seed', 'seeds', 'eta'];

describe('closest', () => {
  test.each([
    ['guidance_scale', 'guidanceScale'],
    ['num-inference-steps', 'numInferenceSteps'],
    ['GUIDANCESCALE', 'guidanceScale'],
    ['setps', 'steps'],
    ['promt', 'prompt'],
    ['seedz', 'seed'],
    ['cfg_scale', 'guidanceScale'],
    ['generator', 'seed'],
    ['sampler', undefined],
    ['constructor', undefined],
    ['strength', undefined],
    ['', undefined],
    ['x'.repeat(100_000), undefined],
  ])('%.20s', (name, meant) => {
    expect(closest(name, KNOWN)).toBe(meant);
  });
});

test('an unknown name: what was meant, or what there is', () => {
  expect(() => checkNames({ seed: 1, step: 3 }, KNOWN)).toThrow('step is not an option; did you mean steps?');
  expect(() => checkNames({ zzz: 1 }, ['eta', 'seed'], 'cache.')).toThrow(
    'cache.zzz is not an option; there are eta, seed',
  );
  expect(() => checkNames({ seed: 1 }, KNOWN)).not.toThrow();
});

describe('options', () => {
  const MODEL = 'test/fixtures/sd15-tiny';

  test('of a run, of loading and of the cache', async () => {
    await using pipe = await DiffusionPipeline.fromPretrained(MODEL);
    const run = { prompt: 'a', guidance_scale: 3 };
    await expect(pipe.generate(run)).rejects.toThrow('did you mean guidanceScale?');
    await expect(pipe.stream(run).next()).rejects.toThrow('did you mean guidanceScale?');
    const load = { devise: 'cpu' } as object;
    await expect(DiffusionPipeline.fromPretrained(MODEL, load)).rejects.toThrow('did you mean device?');
    expect(() => resolveCache({ intervall: 3 } as unknown as CacheOptions, 50)).toThrow(
      'cache.intervall is not an option; did you mean interval?',
    );
  });
});
