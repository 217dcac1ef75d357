import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

// bench/gpu.sh, which has one try on a GPU, on the emulated one: a kernel that faults or hangs costs its own rows and nothing
// else. scripts/test-emulated.mjs builds what it runs.
const folder = dirname(process.env.DEEPCACHE_CUDA_LIBRARY ?? '');
const describeBuilt = existsSync(join(folder, 'deepcache-bench')) ? describe : describe.skip;

interface Step {
  step: string;
  status: number;
  disabled: string;
  report: { rows: { name: string; ok?: boolean; problem?: string; ms?: number }[] } | null;
}

function rehearse(steps: string[], options: string[] = [], environment: NodeJS.ProcessEnv = {}) {
  const OUT = mkdtempSync(join(tmpdir(), 'gpu-script-'));
  const args = ['bench/gpu.sh', '--emulated', '--prebuilt', folder, ...options, ...steps];
  const env = { ...process.env, OUT, LIMIT: '900', ...environment };
  const { status } = spawnSync('bash', args, { encoding: 'utf8', env });
  const results: Step[] = JSON.parse(readFileSync(join(OUT, 'results.json'), 'utf8'));
  const byName = new Map(results.map((step) => [step.step, step]));
  const rows = (name: string) => byName.get(name)?.report?.rows ?? [];
  const [files, log] = [readdirSync(OUT), readFileSync(join(OUT, 'log.txt'), 'utf8')];
  rmSync(OUT, { recursive: true });
  return { status, results, rows, files, log };
}

const failures = (rows: { name: string; ok?: boolean }[]) =>
  rows.filter((row) => !row.ok).map((row) => row.name);

describeBuilt('bench/gpu.sh', () => {
  test('runs its steps and leaves a few files', () => {
    const steps = ['build', 'smoke_and_isolate', 'ops', 'parts_of_products', 'fp8', 'agreement', 'table'];
    const run = rehearse(steps);
    expect(run.log).toMatch(/failed: none/);
    expect(run.status).toBe(0);
    expect(run.files.length).toBeLessThanOrEqual(8);
    expect(run.rows('smoke').length).toBeGreaterThan(10);
    expect(failures(run.rows('smoke'))).toEqual([]);
    expect(run.rows('time.tiles').map((row) => row.name)).toContain('product128.sm90_128x256.b1.fp16');
    expect(run.results.find(({ step }) => step === 'time.without.overlap')?.disabled).toBe('overlap');
    expect(run.rows('time.geglu').length).toBeGreaterThan(1);
    expect(run.rows('check.fp8').length).toBeGreaterThan(10);
    expect(failures(run.rows('check.fp8'))).toEqual([]);
    expect(run.log).toMatch(/shallow_b0_t581_from601 +relative L2 \S+ +ok/);
  });

  test.each([
    ['faults', '60', /outside every buffer/],
    ['hangs', '61', /has not ended/],
  ])('a kernel that %s loses no row but its own', (_, fault, problem) => {
    const run = rehearse(['smoke_and_isolate', 'ops', 'table'], ['--fault', fault], {
      REHEARSED_PATIENCE: '5',
    });
    expect(run.status).toBe(1);
    const smoke = run.rows('smoke');
    expect(failures(smoke)).toEqual(['op.layer_norm_plain']);
    expect(smoke.find((row) => !row.ok)?.problem).toMatch(problem);
    // No feature is at fault: each was tried, and the rest ran with all.
    const tried = run.results
      .filter(({ step }) => step.startsWith('smoke.without.'))
      .map(({ disabled }) => disabled);
    expect(tried).toEqual([
      'odd_v',
      'folds',
      'persistent',
      'hopper',
      'overlap',
      'clusters',
      'once',
      'hopper,overlap,clusters,once',
    ]);
    const ops = run.rows('check.ops');
    expect(failures(ops).every((name) => name.includes('layer_norm'))).toBe(true);
    expect(ops.filter((row) => row.ok && row.name.includes('group_norm')).length).toBeGreaterThan(15);
    expect(run.results.at(-1)?.step).toBe('table');
  });

  test('a fault costs the times of what it happens in', () => {
    const run = rehearse(['plain'], ['--fault', '60']); // layer norms, which the autoencoder has none of
    expect(run.status).toBe(1);
    const times = run.rows('time.plain');
    const of = (what: string) => times.find((row) => row.name.startsWith(`tiny-sd15.${what}`));
    for (const part of ['full', 'retrieve0', 'text'])
      expect(of(part)?.problem).toMatch(/outside every buffer/);
    expect(of('decode')?.ms).toBeGreaterThan(0);
  });

  test('a machine that can build nothing says so at once, and what runs there is used', () => {
    // All that this PATH has but what builds, and Python.
    const bin = mkdtempSync(join(tmpdir(), 'few-tools-'));
    const hidden = /^(cmake|make|ninja|c\+\+|python3)$/;
    const tools = new Map<string, string>();
    for (const at of (process.env.PATH ?? '').split(':').reverse())
      for (const name of existsSync(at) ? readdirSync(at) : [])
        if (!hidden.test(name)) tools.set(name, join(at, name));
    for (const [name, place] of tools) symlinkSync(place, join(bin, name));
    const run = rehearse(['build', 'fp8', 'table'], [], { PATH: bin });
    const lines = run.log.split('\n');
    expect(lines[0]).toBe('--- nothing can be built here, for want of cmake, c++, ninja or make');
    expect(lines[1]).toMatch(/there is no python3: .* left out$/);
    expect(run.results.map(({ step }) => step)).toEqual(['check.fp8', 'time.fp8', 'time.fp8.batches']);
    expect(run.status).toBe(0);

    const empty = mkdtempSync(join(tmpdir(), 'nothing-built-'));
    const args = ['bench/gpu.sh', '--emulated', '--prebuilt', empty, 'build', 'fp8'];
    const env = { ...process.env, OUT: empty, PATH: bin };
    const { status, stdout } = spawnSync('bash', args, { encoding: 'utf8', env });
    expect(status).toBe(1);
    expect(stdout).toMatch(/does not run here: it is built instead\n--- nothing can run without the build/);
    for (const folder of [bin, empty]) rmSync(folder, { recursive: true });
  });

  test('what is at fault is left out of the rest', () => {
    const run = rehearse(['smoke_and_isolate', 'ops'], ['--fault', '41']);
    expect(failures(run.rows('smoke'))).toContain('op.attention_heads_of_64');
    expect(run.log).toContain('the rest runs without hopper');
    expect(run.results.find(({ step }) => step === 'check.ops')?.disabled).toBe('hopper');
  });
});
