import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Interruption } from '../lib/cli/context.js';
import { DDIMScheduler } from '../lib/entries/schedulers.js';
import { Image, StableDiffusionPipeline } from '../lib/index.js';
import { runCli } from './cli-run.js';
import { distance } from './pipelines/tiny.js';

const MODEL = 'test/fixtures/sd15-tiny';
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-compare-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string) => join(folder, name);
const compare = (...args: string[]) =>
  runCli([
    'compare',
    '-m',
    MODEL,
    '-p',
    'a red house',
    '--steps',
    '9',
    '--scheduler',
    'DDIM',
    '-s',
    '7',
    ...args,
  ]);

test('a picture, a page and a table', async () => {
  const [picture, page] = [file('new/both.png'), file('new/both.html')];
  const settings = ['--cache', 'off', '--cache', 'interval=3,branch=0', '--cache', 'fast'];
  const { code, out, err } = await compare(...settings, '-o', picture, '--html', page);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const lines = out.split('\n');
  expect(lines[0]).toMatch(
    /^Setting +Denoise +Speedup +Full +Cached +Predicted +MACs +PSNR +SSIM +Latent L2$/,
  );
  expect(lines[1]).toMatch(/^no cache +[\d.]+ s +1\.00× +9 +0 +0 +100 % +∞ dB +1\.0000 +0$/);
  const speedup = /(too noisy to tell )?(\d+\.\d\d× )?(\(\d+\.\d\d–\d+\.\d\d×?\))?/.source;
  expect(lines[2]).toMatch(
    new RegExp(`^interval=3, branch=0 +[\\d.]+ s +${speedup} +3 +6 +0 +\\d+ % +\\d+\\.\\d dB `),
  );
  expect(lines[3]).toMatch(new RegExp(`^fast +[\\d.]+ s +${speedup} +2 +7 `));
  expect(out).toContain(`seed 7 on cpu\n${picture}\n${page}\n`);
  const { width, height } = await Image.open(picture);
  expect(width).toBeGreaterThan(3 * 256);
  expect(height).toBeGreaterThan(256);
  expect(readFileSync(page, 'utf8')).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/);
});

test('figures as JSON, of the options that generate takes', async () => {
  const output = file('json.jpg');
  const { code, out } = await compare(
    ...[
      '--num-images',
      '2',
      '--clip-skip',
      '1',
      '-g',
      '3',
      '--scheduler-config',
      '{"set_alpha_to_one": true}',
    ],
    ...['--cache', 'interval=2', '--cache', 'interval=1', '--repeats', '2', '--json', '-o', output],
  );
  expect(code).toBe(0);
  const report = JSON.parse(out);
  expect(report).toMatchObject({ files: [output], model: MODEL, device: 'cpu', seeds: ['7'] });
  expect(report.runs[0]).toMatchObject({ name: 'interval=2', stats: { fullCalls: 5, retrieveCalls: 4 } });
  expect(report.runs[1]).toMatchObject({ psnr: 'Infinity', ssim: 1, latentL2: 0 });
  expect(readFileSync(output).readUInt16BE(0)).toBe(0xffd8); // JPEG

  await using pipe = await StableDiffusionPipeline.fromPretrained(MODEL);
  const latents = async (cache: false | { interval: number }) => {
    const scheduler = DDIMScheduler.fromConfig(pipe.scheduler, { set_alpha_to_one: true });
    const options = { prompt: 'a red house', steps: 9, numImages: 2, clipSkip: 1, guidanceScale: 3, seed: 7 };
    const { tensor } = await pipe.generate({ ...options, scheduler, cache, output: 'latent' });
    return tensor?.data as Float32Array;
  };
  const expected = distance(await latents({ interval: 2 }), await latents(false));
  expect(report.runs[0].latentL2).toBeCloseTo(expected, 10);
});

test('the presets without settings; remarks about those that are not followed', async () => {
  const { out, err } = await compare('--steps', '4', '-o', file('few.png'));
  expect(out.match(/^(quality|balanced|fast) /gm)).toHaveLength(3);
  expect(err).toMatch(/^deepcache: quality: cache 'quality' is not used: with 4 U-Net calls/);
  expect(await compare('--steps', '4', '--quiet', '--force', '-o', file('few.png'))).toEqual({
    code: 0,
    out: '',
    err: '',
  });
});

test('progress on a terminal', async () => {
  const args = ['compare', '-m', MODEL, '-p', 'x', '--steps', '9', '-c', 'interval=4', '-o', file('bar.png')];
  const { err } = await runCli(args, { columns: 70 });
  expect(err).toContain('\rrun 1 of 2, no cache: call 10 of 10\x1b[K');
  expect(err).toContain('\rrun 2 of 2, interval=4: call 10 of 10\x1b[K');
  expect(err.endsWith('\r\x1b[K')).toBe(true);
});

test('help names its own options and those of generate', async () => {
  const { code, out } = await runCli(['compare', '--help']);
  expect(code).toBe(0);
  for (const option of [
    '--html',
    '--repeats',
    '--negative-prompt',
    '--guidance-scale',
    '--model',
    '--json',
  ]) {
    expect(out).toContain(option);
  }
  expect(out.match(/--output </g)).toHaveLength(1);
  expect(out.match(/--cache </g)).toHaveLength(1);
});

describe('wrong use', () => {
  test.each([
    [['-o', 'x.gif'], /^deepcache: --output must end in .png/],
    [['--cache', 'off'], /^deepcache: --cache needs a setting other than off/],
    [['--cache', 'quick'], /'quick' is invalid. It must be off, quality/],
    [['--repeats', '0'], /--repeats <n>' argument '0' is invalid. It must be a whole number of at least 1/],
    [['--cache', 'interval=0'], /--cache: interval must be .*, got 0 \(of the setting "interval=0"\)/],
    [['--cache', 'interval=2,branch=12'], /--cache: branch must be a whole number from 0 to 11/],
    [['--steps', '0'], /--steps must be a whole number from 1/],
    [['--preview-every', '2'], /unknown option '--preview-every'/],
    [['--html'], /option '--html <file>' argument missing/],
  ])('%j', async (args, message) => {
    const { code, out, err } = await compare('-o', file('wrong.png'), ...args);
    expect(err).toMatch(message);
    expect(err).toMatch(/^deepcache: [^\n]+ \[ERR_DEEPCACHE_INVALID_ARGUMENT\]\n$/);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(existsSync(file('wrong.png'))).toBe(false);
  });
});

test('Ctrl-C ends it', async () => {
  const interrupt = new AbortController();
  const args = ['compare', '-m', MODEL, '-p', 'x', '--steps', '900', '-o', file('never.png')];
  const { code, err } = await runCli(args, {
    columns: 80,
    signal: interrupt.signal,
    onError: (text) => {
      if (/run 1 of 4, no cache: call \d/.test(text)) interrupt.abort(new Interruption('SIGINT'));
    },
  });
  expect(code).toBe(130);
  expect(err.endsWith('deepcache: interrupted\n')).toBe(true);
  expect(existsSync(file('never.png'))).toBe(false);
});
