import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { compare } from '../lib/compare/index.js';
import { measureQuality } from '../lib/quality/index.js';
import { runCli } from './cli-run.js';
import { loadTiny } from './pipelines/tiny.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-quality-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const PROMPTS = ['a red house', 'a dog', 'a cat'];
const SETTINGS = [{ interval: 2 }, { interval: 3, branch: 1 }];

test('batches give the figures of one run of all pictures', async () => {
  await using pipe = await loadTiny();
  const options = { steps: 9, guidanceScale: 3 };
  const report = await measureQuality(pipe, options, SETTINGS, {
    prompts: PROMPTS,
    seed: 5,
    batch: 2,
    keep: 2,
  });
  const whole = await compare(pipe, { ...options, prompt: PROMPTS, seeds: [5, 6, 7] }, SETTINGS);
  expect(report.rows.map(({ name }) => name)).toEqual(['no cache', ...whole.runs.map(({ name }) => name)]);
  for (const [i, run] of whole.runs.entries()) {
    const row = report.rows[i + 1];
    expect(row?.psnr).toBeCloseTo(run.psnr, 3);
    expect(row?.ssim).toBeCloseTo(run.ssim, 5);
    expect(row?.macsSpeedup).toBeCloseTo(1 / run.macsShare, 9);
    expect(row?.share).toBeCloseTo((row?.speedup as number) / (row?.macsSpeedup as number), 9);
    expect(row?.full).toBe(run.stats.fullSteps);
    expect(row?.images).toHaveLength(2);
  }
  expect(report.rows[0]?.psnr).toBe(Infinity);
});

test('the command writes a table, JSON and a page with prompts from a file', async () => {
  const [prompts, page] = [join(folder, 'prompts.txt'), join(folder, 'new/quality.html')];
  writeFileSync(prompts, 'a red house\n\n  a <b>dog</b>\n');
  const base = ['quality', '-m', 'test/fixtures/sd15-tiny', '--steps', '9', '--scheduler', 'DDIM'];
  const given = ['--prompts', prompts, '-c', 'interval=3', '--html', page];
  const { code, out, err } = await runCli([...base, ...given]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/^Setting +Full +Cached +PSNR/);
  expect(out).toMatch(/\ninterval=3 +3 +6 /);
  const html = readFileSync(page, 'utf8');
  expect(html).toContain('a &lt;b&gt;dog&lt;/b&gt;');
  expect(html.match(/<img /g)).toHaveLength(4);
  const json = JSON.parse((await runCli([...base, ...given, '--json'])).out);
  expect(json.rows).toHaveLength(2);
  expect(json.rows[0].psnr).toBe('Infinity');
  expect((await runCli([...base, '--prompts', join(folder, 'none')])).err).toMatch(
    /--prompts cannot be read/,
  );
});
