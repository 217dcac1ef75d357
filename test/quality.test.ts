import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { compare } from '../lib/compare/index.js';
import { DiffusionPipeline } from '../lib/index.js';
import { Judge } from '../lib/judge/index.js';
import { accuracyTable, measureQuality, type QualityRow } from '../lib/quality/index.js';
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
    expect(row?.full).toBe(run.stats.fullCalls);
    expect(row?.pictures).toHaveLength(2);
  }
  expect(report.rows[0]?.psnr).toBe(Infinity);
  for (const { times, speedup, pictureSpeedup, lost } of report.rows) {
    const base = report.rows[0]?.times as typeof times;
    const denoise = ({ full, cached, around }: typeof times) => full + cached + around;
    expect(speedup).toBeCloseTo(denoise(base) / denoise(times), 9);
    const all = (one: typeof times) => one.prepare + denoise(one) + one.decode;
    expect(pictureSpeedup).toBeCloseTo(all(base) / all(times), 9);
    expect(lost.aroundCalls).toBeCloseTo(times.around / denoise(times), 9);
  }
});

test('a stop gives the batches that were finished', async () => {
  await using pipe = await loadTiny();
  const measure = (at: number) => {
    const stop = new AbortController();
    return measureQuality(pipe, { steps: 9 }, [{ interval: 2 }], {
      ...{ prompts: PROMPTS, batch: 1, repeats: 1, stop: stop.signal },
      onProgress: ({ picture }) => {
        if (picture === at) stop.abort(new Error('enough'));
      },
    });
  };
  const { prompts, rows } = await measure(2);
  expect(prompts).toEqual(PROMPTS.slice(0, 2));
  expect(rows.map(({ pictures }) => pictures.length)).toEqual([2, 2]);
  await expect(measure(0)).rejects.toThrow('enough');
});

test('a judge tells what pictures show, by kind', async () => {
  await using pipe = await DiffusionPipeline.fromPretrained('models/demo', { device: 'cpu' });
  const prompts = ['a red barn under a blue sky', 'a black cat in the snow', 'nothing that it knows'];
  const report = await measureQuality(pipe as never, { steps: 9 }, [{ interval: 3 }], {
    ...{ prompts, seed: 1, judge: await Judge.load() },
  });
  const { accuracy, pictures } = report.rows[0] as QualityRow;
  expect(accuracy?.all.of).toBe(6);
  expect(accuracy?.groups.objects.of).toBe(2);
  expect(accuracy?.groups.colors.of).toBe(2);
  expect(accuracy?.groups.background.of).toBe(2);
  expect(accuracy?.pictures.of).toBe(3);
  const wrong = pictures.flatMap((picture) => picture.wrong as string[]);
  expect(accuracy?.all.right).toBe(6 - wrong.length);
  const [titles = [], ...lines] = accuracyTable(report);
  expect(titles).toEqual(['Right of', '2 object', '2 color', '1 sky', '1 ground']);
  expect(lines.map(([name]) => name)).toEqual(['no cache', 'interval=3']);
});

test('the command writes a table, JSON and a page with prompts from a file', async () => {
  const [prompts, page] = [join(folder, 'prompts.txt'), join(folder, 'new/quality.html')];
  writeFileSync(prompts, 'a red house\n\n  a <b>dog</b>\n');
  const base = ['quality', '-m', 'test/fixtures/sd15-tiny', '--steps', '9', '--scheduler', 'DDIM'];
  const given = ['--prompts', prompts, '-c', 'interval=3', '--html', page];
  const { code, out, err } = await runCli([...base, ...given]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/^Setting +Full +Cached +Predicted +PSNR/);
  expect(out).toMatch(/\ninterval=3 +3 +6 +0 /);
  const html = readFileSync(page, 'utf8');
  expect(html).toContain('a &lt;b&gt;dog&lt;/b&gt;');
  expect(html.match(/<img /g)).toHaveLength(4);
  expect(html.match(/<\/(script|style)/g)).toEqual(['</style', '</script']);
  const json = JSON.parse((await runCli([...base, ...given, '--json'])).out);
  expect(json.rows).toHaveLength(2);
  expect(json.rows[0].psnr).toBe('Infinity');
  expect(json.rows[1].pictures).toHaveLength(2);
  const none = await runCli([...base, ...given, '--force', '--pictures', '0']);
  expect(none.code).toBe(0);
  expect(readFileSync(page, 'utf8')).toContain('None were kept.');
  const markdown = (await runCli([...base, ...given, '--markdown'])).out.split('\n');
  expect(markdown[0]).toMatch(/^\| Setting \| Full \| Cached \| Predicted \| PSNR \|/);
  expect(markdown[1]).toMatch(/^\| --- \|( --: \|)+$/);
  expect(markdown[3]).toMatch(/^\| interval=3 \| 3 \| 6 \| 0 \|/);
  expect((await runCli([...base, '--prompts', join(folder, 'none')])).err).toMatch(
    /--prompts .*none cannot be read/,
  );
});
