import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { measurePolicies, policiesOf } from '../../lib/laboratory/index.js';
import { relativeL2 } from '../../lib/metrics/index.js';
import { frontTable, qualityJson, qualityPage } from '../../lib/quality/index.js';
import { runCli } from '../cli-run.js';
import { loadTiny } from '../pipelines/tiny.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-laboratory-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const PROMPTS = ['a red house', 'a dog', 'a cat'];
const OPTIONS = { steps: 9, guidanceScale: 3, scheduler: 'DDIM' } as const;

test('figures are those of the pictures, and costs what was computed', async () => {
  await using pipe = await loadTiny();
  const policies = policiesOf(
    'deepcache:interval=3,fewer-steps:share=0.5,guidance-interval:to=0.4,easycache:threshold=0.4',
  );
  const report = await measurePolicies(pipe, OPTIONS, policies, { prompts: PROMPTS, seed: 5, keep: 1 });
  const [none, cached, fewer, guided, easy] = report.rows;
  const [{ share = 0 } = {}] = await pipe.unet.branches();
  expect(none).toMatchObject({ full: 9, psnr: Infinity, worstPsnr: Infinity, macsSpeedup: 1 });
  expect(cached).toMatchObject({ full: 3, cached: 6, policy: { family: 'deepcache' } });
  expect(cached?.macsSpeedup).toBeCloseTo(9 / (3 + 6 * share), 9);
  expect(fewer).toMatchObject({ full: 5, cached: 0, predicted: 0 });
  expect(fewer?.macsSpeedup).toBeCloseTo(9 / 5, 9);
  expect(guided?.macsSpeedup).toBeCloseTo(9 / (4 + 5 / 2), 9);
  expect(easy?.full).toBeLessThan(9);
  // What the pipeline itself makes of the same setting.
  const latents = async (cache: false | { interval: number }) => {
    const run = PROMPTS.map(async (prompt, i) =>
      pipe.generate({ ...OPTIONS, prompt, seed: 5 + i, cache, output: 'latent' } as never),
    );
    return (await Promise.all(run)) as unknown as { tensor: { data: Float32Array } }[];
  };
  const [plain, retrieved] = [await latents(false), await latents({ interval: 3 })];
  const distances = plain.map(({ tensor }, i) => relativeL2(retrieved[i]?.tensor.data ?? [], tensor.data));
  const snr = distances.reduce((sum, value) => sum - 20 * Math.log10(value), 0) / distances.length;
  expect(cached?.latentSnr).toBeCloseTo(snr, 2);
  for (const { pictures, worst, worstPsnr, psnrRange, meanPsnr } of report.rows.slice(1)) {
    expect(pictures).toHaveLength(1);
    expect(worst?.psnr).toBe(worstPsnr);
    expect(psnrRange[0]).toBeGreaterThanOrEqual(worstPsnr);
    expect(psnrRange[1]).toBeGreaterThanOrEqual(meanPsnr);
  }
  const [titles, ...lines] = frontTable(report);
  expect(titles).toEqual(['PSNR mean / worst at', '1/1.5', '1/2', '1/2.5', '1/3', '1/4', '1/5']);
  expect(lines.map(([name]) => name)).toEqual(['deepcache', 'fewer-steps', 'guidance-interval', 'easycache']);
  expect(lines[1]?.slice(1, 3)).toEqual([expect.stringMatching(/^\d+\.\d \/ \d+\.\d$/), '-']);
  expect(JSON.stringify(qualityJson(report))).not.toContain('"image"');
  const page = await qualityPage(report);
  expect(page).toContain('4 policies, 3 prompts');
  expect(page.match(/<img /g)).toHaveLength(5 + 4);
});

test('what was measured is not measured again, also behind a line that was cut off', async () => {
  await using pipe = await loadTiny();
  const resume = join(folder, 'runs.jsonl');
  const measure = async (list: string, prompts: readonly string[]) => {
    const runs: string[] = [];
    const report = await measurePolicies(pipe, OPTIONS, policiesOf(list), {
      ...{ prompts, seed: 5, keep: 2, resume },
      onProgress: ({ picture, name }) => void runs.push(`${picture} ${name}`),
    });
    return { runs, figures: JSON.stringify(qualityJson(report)) };
  };
  const prompts = PROMPTS.slice(0, 2);
  const first = await measure('deepcache:interval=3', prompts);
  expect(first.runs).toHaveLength(4);
  expect(await measure('deepcache:interval=3', prompts)).toEqual({ runs: [], figures: first.figures });
  appendFileSync(resume, '["1: deepcache interval=4",{"diff');
  const more = await measure('deepcache:interval=3,deepcache:interval=4', prompts);
  expect(more.runs).toEqual(['0 deepcache interval=4', '1 deepcache interval=4']);
  expect((await measure('deepcache:interval=4', prompts)).runs).toEqual([]);
  await expect(measure('deepcache:interval=3', PROMPTS)).rejects.toThrow(/resume .*another measurement/);
  writeFileSync(resume, 'a diary');
  await expect(measure('deepcache:interval=3', prompts)).rejects.toThrow(/resume .*no file of a measurement/);
  expect(readFileSync(resume, 'utf8')).toBe('a diary');
});

test('samplers that draw noise are refused', async () => {
  await using pipe = await loadTiny();
  const run = measurePolicies(
    pipe,
    { ...OPTIONS, scheduler: 'EulerAncestralDiscrete' },
    policiesOf('deepcache'),
    {
      prompts: PROMPTS,
    },
  );
  await expect(run).rejects.toMatchObject({ code: 'ERR_DEEPCACHE_UNSUPPORTED' });
});

test('the command measures policies beside settings', async () => {
  const base = [
    'quality',
    '-m',
    'test/fixtures/sd15-tiny',
    '--steps',
    '9',
    '--scheduler',
    'DDIM',
    '--prompt',
    'a dog',
  ];
  const page = join(folder, 'page.html');
  const { code, out, err } = await runCli([
    ...[...base, '--policies', 'spectrum:first=3,fewer-steps:share=0.34', '-c', 'plan=FPPFPPFPP'],
    ...['--resume', join(folder, 'cli.jsonl'), '--html', page],
  ]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/^Policy +Cost +Full +Cached +Predicted +PSNR/);
  expect(out).toMatch(/\nplan=FPPFPPFPP +0\.333 +3 +0 +6 /);
  expect(out).toMatch(/\nfewer-steps +\d+\.\d \/ /);
  const refused = async (...flags: string[]) => (await runCli([...base, ...flags])).err;
  expect(await refused('--policies', 'all', '--batch', '2')).toContain(
    '--batch cannot be used together with',
  );
  expect(await refused('--resume', page)).toContain('--resume needs policies');
  expect(await refused('--policies', 'magic')).toContain('--policies must be all, or of fewer-steps');
});
