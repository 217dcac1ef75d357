import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { loadGoldens } from './goldens.js';
import { formatReport, summary } from './report.js';
import { type CaseResult, runCases } from './runner.js';

// Goldens of the reference, and beside them made-up ones that must not pass.
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-conformance-'));
  cpSync('test/fixtures/conformance', folder, { recursive: true });
  mkdirSync(join(folder, 'models'));
  symlinkSync(resolve('test/fixtures/sd15-tiny'), join(folder, 'models', 'sd15-tiny'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const EXPECTED = {
  'ldm/made_up.dice': 'not supported',
  'ldm/dice_table/0': 'not supported',
  'ldm/dice_table/1': 'not supported',
  'rng/f32/seed0/n16': 'passed',
  'rng/seq/seed0/0_n3': 'passed',
  'rng/seq/seed0/1_n2': 'passed',
  'rng/raw_u32/seed0': 'passed',
  'rng/made_up/unknown_kind': 'not supported',
  'rng/made_up/nothing_to_compare': 'failed',
  'sd15/pipeline/dc/batch2_i3_b1': 'passed',
  'sd15/pipeline/invalid/i3_b12': 'passed',
  'sd15/pipeline/made_up/wrong_latents': 'failed',
  'sd15/pipeline/made_up/wrong_full_step': 'failed',
  'sd15/pipeline/made_up/unknown_pipeline': 'not supported',
  'sd15/pipeline/made_up/refused_option': 'failed',
};

describe('runCases', () => {
  let results: CaseResult[];
  beforeAll(async () => {
    results = await runCases(loadGoldens(folder), { device: 'cpu' });
  });

  const find = (name: string) => results.find((result) => result.name === name) as CaseResult;
  const wrong = (name: string) => find(name).comparisons.filter(({ ok }) => !ok);

  test('every case gets its status', () => {
    expect(Object.fromEntries(results.map(({ name, status }) => [name, status]))).toEqual(EXPECTED);
  });

  test('one wrong number of a tensor is found, and nothing else', () => {
    const [latents, ...rest] = wrong('sd15/pipeline/made_up/wrong_latents');
    expect(rest).toEqual([]);
    expect(latents).toMatchObject({ role: 'latents', ok: false });
    expect(latents?.error).toBeCloseTo(0.01, 3);
    expect(latents?.detail).toMatch(/^1 of \d+ values are off.*\[1,1,3,5,0\]/);
  });

  test('a call that was full and should not be is found', () => {
    expect(wrong('sd15/pipeline/made_up/wrong_full_step').map(({ role }) => role)).toEqual(['full_step']);
  });

  test('errors of the package are failures with their message, unless they say unsupported', () => {
    expect(find('sd15/pipeline/made_up/refused_option').reason).toMatch(
      /^ERR_DEEPCACHE_INVALID_ARGUMENT: numInferenceSteps/,
    );
    expect(find('sd15/pipeline/made_up/unknown_pipeline').reason).toMatch(/^ERR_DEEPCACHE_UNSUPPORTED/);
  });

  test('a case that compares nothing does not pass', () => {
    expect(find('rng/made_up/nothing_to_compare').reason).toBe('nothing was compared');
  });

  test('the report names failures and ends with the summary', () => {
    const lines = formatReport(results).split('\n');
    expect(lines.at(-1)).toBe('6 passed, 4 failed, 5 not supported yet');
    expect(lines.at(-1)).toBe(summary(results));
    expect(lines).toContain('FAILED sd15/pipeline/made_up/wrong_latents');
    expect(lines).toContain('    2    3    1  sd15');
  });
});

describe('the command', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ['--import', 'tsx', 'test/conformance/main.ts', ...args], {
      encoding: 'utf8',
    });

  test('exits with 1 when a case failed, and writes every case to --json', () => {
    const json = join(folder, 'report.json');
    const { status, stdout, stderr } = run(folder, '--filter', '^rng/', '--json', json);
    expect(stderr).toBe('');
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('4 passed, 1 failed, 1 not supported yet');
    expect(status).toBe(1);
    const report = JSON.parse(readFileSync(json, 'utf8'));
    expect(report).toMatchObject({ device: 'cpu', passed: 4, failed: 1, notSupported: 1 });
    expect(report.cases).toHaveLength(6);
  });

  test('exits with 0 when nothing failed', () => {
    const { status, stdout } = run(folder, '--filter', '^rng/(f32|made_up/unknown)');
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('1 passed, 0 failed, 1 not supported yet');
    expect(status).toBe(0);
  });

  test.each([
    ['a folder that is not there', ['/nowhere']],
    ['a filter that matches nothing', ['test/fixtures/conformance', '--filter', 'no such case']],
    ['no folder', []],
  ])('exits with 2 for %s', (_, args) => {
    const { status, stdout, stderr } = run(...args);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).not.toBe('');
  });
});
