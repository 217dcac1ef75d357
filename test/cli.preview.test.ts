import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { imageProtocol, imageSequence } from '../lib/cli/terminal-image.js';
import { DiffusionPipeline, Image, type LatentPreview, type StepEvent } from '../lib/index.js';
import { runCli } from './cli-run.js';
import { until } from './until.js';

const MODEL = 'test/fixtures/sd15-tiny';
const VARIABLES = ['TERM', 'TERM_PROGRAM', 'LC_TERMINAL', 'KITTY_WINDOW_ID', 'TMUX', 'STY'];
let folder: string;
const environment: Record<string, string | undefined> = {};
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-preview-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  for (const name of VARIABLES) {
    environment[name] = process.env[name];
    delete process.env[name];
  }
});
afterEach(() => {
  for (const name of VARIABLES) {
    if (environment[name] === undefined) delete process.env[name];
    else process.env[name] = environment[name];
  }
});

/** Control characters as symbols, for patterns. */
const visible = (text: string) => text.replaceAll('\x1b', '␛').replaceAll('\x07', '␇');

const file = (name: string) => join(folder, name);
/** DDIM calls the U-Net once a step: previews after calls 2, 4 and 6. */
const run = ['--prompt', 'a red house', '--steps', '6', '--seed', '3', '--scheduler', 'DDIM'];
const generate = (args: string[], columns = 0) =>
  runCli(['generate', '--model', MODEL, ...run, '-o', file('out.png'), '--force', ...args], { columns });

/** What the library shows after the last step. */
async function lastPreview(numImages = 1): Promise<Image[]> {
  await using pipe = await DiffusionPipeline.fromPretrained(MODEL);
  let last: StepEvent['preview'];
  const onStep = ({ preview }: StepEvent) => {
    last = preview ?? last;
  };
  const options = { steps: 6, seed: 3, scheduler: 'DDIM', output: 'latent' } as const;
  await pipe.generate({ prompt: 'a red house', ...options, numImages, previewEvery: 2, onStep });
  return (last as LatentPreview).toImages();
}

describe('imageProtocol', () => {
  test.each([
    [{ TERM_PROGRAM: 'iTerm.app', TERM: 'xterm-256color' }, 'iterm2'],
    [{ LC_TERMINAL: 'iTerm2' }, 'iterm2'],
    [{ TERM_PROGRAM: 'WezTerm' }, 'iterm2'],
    [{ KITTY_WINDOW_ID: '1', TERM: 'xterm-kitty' }, 'kitty'],
    [{ TERM: 'xterm-kitty' }, 'kitty'],
    [{ TERM_PROGRAM: 'ghostty', TERM: 'xterm-ghostty' }, 'kitty'],
    [{ TERM: 'xterm-256color' }, undefined],
    [{ TERM_PROGRAM: 'Apple_Terminal' }, undefined],
    [{ TERM_PROGRAM: 'vscode' }, undefined],
    [{}, undefined],
    [{ KITTY_WINDOW_ID: '1', TMUX: '/tmp/tmux-0/default,1,0' }, undefined],
    [{ KITTY_WINDOW_ID: '1', TERM: 'screen-256color' }, undefined],
    [{ TERM_PROGRAM: 'tmux', LC_TERMINAL: 'iTerm2', TERM: 'tmux-256color' }, undefined],
    [{ LC_TERMINAL: 'iTerm2', STY: '1.pts-0' }, undefined],
  ])('%j: %s', (env, protocol) => {
    expect(imageProtocol(env)).toBe(protocol);
  });
});

describe('imageSequence', () => {
  const png = Buffer.from(Uint8Array.from({ length: 7000 }, (_, i) => i % 251));

  test("iTerm2's is one sequence with the bytes", () => {
    const text = visible(imageSequence(png, 'iterm2', 14));
    const [, options, base64] = /^␛\]1337;File=([^:]*):([\w+/=]*)␇$/.exec(text) ?? [];
    expect(options).toBe('inline=1;size=7000;height=14;preserveAspectRatio=1');
    expect(Buffer.from(base64 as string, 'base64').equals(png)).toBe(true);
  });

  test("kitty's is cut into chunks of at most 4096 bytes", () => {
    const parts = [...visible(imageSequence(png, 'kitty', 14)).matchAll(/␛_G([^;]*);([^␛]*)␛\\/g)];
    expect(parts.map(([, keys]) => keys)).toEqual(['a=T,f=100,i=7331,p=1,r=14,C=1,q=2,m=1', 'm=1', 'm=0']);
    for (const [, , chunk] of parts) expect((chunk as string).length).toBeLessThanOrEqual(4096);
    const base64 = parts.map(([, , chunk]) => chunk).join('');
    expect(Buffer.from(base64, 'base64').equals(png)).toBe(true);
    expect(visible(imageSequence(png.subarray(0, 9), 'kitty', 3))).toMatch(
      /^␛_Ga=T,f=100,i=7331,p=1,r=3,C=1,q=2,m=0;[\w+/=]{12}␛\\$/,
    );
  });
});

describe('in the terminal', () => {
  test.each([
    ['iterm2', { TERM_PROGRAM: 'iTerm.app' }, /␛\]1337;File=[^:]*:([\w+/=]*)␇/g],
    ['kitty', { KITTY_WINDOW_ID: '1' }, /␛_Ga=T[^;]*;((?:[\w+/=]|␛\\␛_Gm=[01];)*)␛\\/g],
  ])('%s: pictures, one over the other, with the bar below', async (_name, env, pattern) => {
    Object.assign(process.env, env);
    const { code, err } = await generate(['--preview-every', '2'], 80);
    expect(code).toBe(0);
    // How many there are depends on who is faster; the last one is always there.
    const shown = [...visible(err).matchAll(pattern)].map(([, text]) =>
      Buffer.from((text as string).replace(/␛\\␛_Gm=[01];/g, ''), 'base64'),
    );
    expect(shown.length).toBeGreaterThanOrEqual(1);
    expect(shown.length).toBeLessThanOrEqual(3);
    const image = await Image.open(shown.at(-1) as Buffer);
    expect(image.data).toEqual((await lastPreview())[0]?.data);
    // The first one makes room for 14 lines; each goes up by as many, and leaves the cursor below itself.
    expect(err.split('\n'.repeat(14))).toHaveLength(2);
    expect(err.split('\x1b[14A\x1b7')).toHaveLength(shown.length + 1);
    expect(err.split('\x1b8\x1b[14B\r')).toHaveLength(shown.length + 1);
    expect(err).toMatch(/\[#+\.*\]/);
  });

  test.each<[string, string[], number, Record<string, string>]>([
    ['a terminal that cannot', ['--preview-every', '2'], 80, { TERM_PROGRAM: 'Apple_Terminal' }],
    ['no terminal', ['--preview-every', '2'], 0, { KITTY_WINDOW_ID: '1' }],
    ['within tmux', ['--preview-every', '2'], 80, { KITTY_WINDOW_ID: '1', TMUX: 'yes' }],
  ])('%s: nothing but a remark', async (_name, args, columns, env) => {
    Object.assign(process.env, env);
    const { code, err } = await generate(args, columns);
    expect(code).toBe(0);
    expect(visible(err)).not.toMatch(/␛_G|␛\]/);
    expect(err).toMatch(/deepcache: --preview-every: pictures cannot be shown here; give --preview/);
  });

  test('nothing unless it is asked for, nor when all should be quiet', async () => {
    process.env.KITTY_WINDOW_ID = '1';
    expect((await generate([], 80)).err).not.toContain('\x1b_G');
    expect((await generate(['--preview-every', '2', '--quiet'], 80)).err).toBe('');
  });
});

describe('in a file', () => {
  test('it is there after the run, with the last preview, and whole whenever it is seen', async () => {
    const name = 'watched/preview.png';
    const seen: string[] = [];
    const broken: string[] = [];
    mkdirSync(file('watched'));
    const watcher = watch(file('watched'), (_event, changed) => {
      seen.push(changed as string);
      if (!existsSync(file(name))) return;
      const bytes = readFileSync(file(name));
      if (bytes.subarray(-8, -4).toString('latin1') !== 'IEND') broken.push(`${bytes.length} bytes`);
    });
    const { code, out } = await generate(['--preview-every', '2', '--preview', file(name)]);
    // What happens to files may be told later than all is done.
    await until(() => seen.includes('preview.png'));
    watcher.close();
    expect(code).toBe(0);
    expect(out).toContain(file('out.png'));
    expect(broken).toEqual([]);
    expect(readdirSync(file('watched'))).toEqual(['preview.png']);
    expect((await Image.open(file(name))).data).toEqual((await lastPreview())[0]?.data);
  });

  test('several images have several files, in a new folder, every fifth step by default', async () => {
    const args = ['--num-images', '2', '--preview', file('new/preview.webp')];
    expect((await generate(args)).code).toBe(0);
    expect(readdirSync(file('new')).sort()).toEqual(['preview-1.webp', 'preview-2.webp']);
  });

  test.each([
    [['--preview', 'preview.gif'], /--preview must end in .png, .jpg, .jpeg, .webp, got "preview.gif"/],
    [['--preview-every', '0'], /It must be a whole number of at least 1/],
    [['--vae-tiling', 'big'], /It must be a number/],
    [['--vae-tiling', '0'], /--vae-tiling: tileSize must be a whole number from 32/],
    [['--vae-tiling', '60'], /--vae-tiling: tileSize must be a multiple of 8/],
  ])('%j is refused', async (args, message) => {
    const { code, err } = await generate(args);
    expect(err).toMatch(message);
    expect(code).toBe(2);
  });

  test('one that cannot be written ends the run', async () => {
    const { code, err } = await generate(['--preview', `${file('out.png')}/no/preview.png`]);
    expect(code).toBe(1);
    expect(err).toMatch(/^deepcache: [^\n]*out\.png[^\n]*\n$/);
    mkdirSync(file('taken.png'));
    const taken = await generate(['--preview', file('taken.png')]);
    expect(taken.code).toBe(1);
    expect(taken.err).toContain('taken.png');
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});

test('options for prompts and memory are those of the library', async () => {
  await using pipe = await DiffusionPipeline.fromPretrained(MODEL);
  const prompt = `${'lighthouse '.repeat(60)} (storm:1.4)`;
  const { images } = await pipe.generate({
    prompt,
    steps: 6,
    seed: 3,
    scheduler: 'DDIM',
    width: 128,
    longPrompts: true,
    promptWeighting: true,
    vaeTiling: { tileSize: 96 },
  });
  const args = ['--prompt', prompt, '--width', '128', '--long-prompts', '--prompt-weighting'];
  const more = ['--vae-tiling', '96', '--unload-text-encoder', '--json', '-o', file('same.png')];
  const all = ['generate', '--model', MODEL, ...run.slice(2), ...args, ...more];
  const { code, out } = await runCli(all);
  expect(code).toBe(0);
  expect(JSON.parse(out).notes).toEqual([]);
  expect((await Image.open(file('same.png'))).data).toEqual(images[0]?.data);
});
