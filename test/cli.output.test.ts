import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { OutputFile } from '../lib/cli/output-file.js';
import { DiffusionPipeline, Image } from '../lib/index.js';
import { type CliOptions, runCli } from './cli-run.js';

const MODEL = 'test/fixtures/sd15-tiny';
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-output-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const file = (name: string) => join(folder, name);
const RUN = ['generate', '-m', MODEL, '-p', 'a red house', '--steps', '2', '--seed', '3'];
const generate = (args: string[], options?: CliOptions) => runCli([...RUN, ...args], options);
/** A folder that is not a model: an error about the output comes before the one about it. */
const NOWHERE = ['-m', 'no-such-model', '-p', 'x'];

describe('what is there is kept', () => {
  test('a new file gets a number, and that is told, also quietly', async () => {
    writeFileSync(file('a.png'), 'precious');
    const first = await generate(['-o', file('a.png'), '-q']);
    expect(first.code).toBe(0);
    expect(first.err).toBe(
      `deepcache: ${file('a.png')} is kept, this goes to ${file('a-2.png')}; --force replaces it\n`,
    );
    const second = JSON.parse((await generate(['-o', file('a.png'), '--json'])).out);
    expect(second.files).toEqual([file('a-3.png')]);
    expect(readFileSync(file('a.png'), 'utf8')).toBe('precious');
    expect(readdirSync(folder).sort()).toEqual(['a-2.png', 'a-3.png', 'a.png']);
  });

  test('several go on counting', async () => {
    writeFileSync(file('a-2.png'), 'precious');
    const { out, err } = await generate(['-o', file('a.png'), '--num-images', '2', '--json']);
    // What is not there is not said to be kept.
    expect(err).toMatch(/^deepcache: \S+a-2\.png is kept, this goes to /);
    expect(JSON.parse(out).files).toEqual([file('a-3.png'), file('a-4.png')]);
  });

  test('--force replaces it, and a link but not what it stands for', async () => {
    writeFileSync(file('victim.txt'), 'precious');
    symlinkSync(file('victim.txt'), file('a.png'));
    const { code, err } = await generate(['-o', file('a.png'), '--force']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect((await Image.open(file('a.png'))).width).toBe(64);
    expect(readFileSync(file('victim.txt'), 'utf8')).toBe('precious');
  });

  test('a link to nothing is something too', async () => {
    symlinkSync(file('nothing'), file('a.png'));
    expect((await generate(['-o', file('a.png')])).code).toBe(0);
    expect(readlinkSync(file('a.png'))).toBe(file('nothing'));
    expect(existsSync(file('nothing'))).toBe(false);
    expect(existsSync(file('a-2.png'))).toBe(true);
  });

  test('previews too', async () => {
    writeFileSync(file('p.png'), 'precious');
    await generate(['-o', file('a.png'), '--preview', file('p.png'), '--preview-every', '1']);
    expect(readFileSync(file('p.png'), 'utf8')).toBe('precious');
    expect((await Image.open(file('p-2.png'))).width).toBe(64);
    expect(readdirSync(folder).sort()).toEqual(['a.png', 'p-2.png', 'p.png']);
  });

  test('a name that somebody takes meanwhile is left to them', async () => {
    const output = await OutputFile.prepare(file('a.png'), { option: 'output', endings: ['.png'] });
    writeFileSync(file('a.png'), 'theirs');
    const written = await output.write(0, async (part) => writeFileSync(part, 'ours'));
    expect(written).toBe(file('a-2.png'));
    expect(readFileSync(file('a.png'), 'utf8')).toBe('theirs');
  });

  test('a pipe gets the picture', async () => {
    execFileSync('mkfifo', [file('p.png')]);
    const reader = spawn('cat', [file('p.png')], { stdio: ['ignore', 'pipe', 'ignore'] });
    const parts: Buffer[] = [];
    reader.stdout.on('data', (part) => parts.push(part));
    const closed = new Promise((resolve) => reader.once('close', resolve));
    try {
      expect(await generate(['-o', file('p.png'), '-q'])).toEqual({ code: 0, out: '', err: '' });
      await closed;
    } finally {
      reader.kill();
    }
    expect((await Image.open(Buffer.concat(parts))).width).toBe(64);
    expect(readdirSync(folder)).toEqual(['p.png']);
  });

  test('a failure leaves nothing behind', async () => {
    const output = await OutputFile.prepare(file('a.png'), {
      option: 'output',
      endings: ['.png'],
      force: true,
    });
    writeFileSync(file('a.png'), 'old');
    const failing = output.write(0, async (part) => {
      writeFileSync(part, 'half');
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), {
        code: 'ENOSPC',
        syscall: 'write',
      });
    });
    await expect(failing).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_OUTPUT',
      message: `${file('a.png')} cannot be written: ENOSPC: no space left on device`,
    });
    expect(readFileSync(file('a.png'), 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['a.png']);
  });
});

describe('found before a model is loaded', () => {
  test.each<[string, (path: string) => string[], RegExp, number]>([
    [
      'a folder of that name',
      (path) => ['generate', '-o', `${path}/folder.png`],
      /folder\.png is a folder/,
      1,
    ],
    [
      'a file for a folder',
      (path) => ['generate', '-o', `${path}/file/x.png`],
      /\/file is not a folder \[/,
      1,
    ],
    ['a file far up', (path) => ['generate', '-o', `${path}/file/a/b/x.png`], /\/file is not a folder \[/, 1],
    [
      'a link to nothing for a folder',
      (path) => ['generate', '-o', `${path}/dangling/x.png`],
      /\/dangling is a link that leads nowhere, not a folder/,
      1,
    ],
    [
      'previews',
      (path) => ['generate', '--preview', `${path}/folder.png`, '-o', `${path}/a.png`],
      /is a folder/,
      1,
    ],
    ['the ending', (path) => ['generate', '-o', `${path}/a.bmp`], /--output must end in \.png/, 2],
    [
      'the same file twice',
      (path) => ['generate', '-o', `${path}/a.png`, '--preview', `${path}/./a.png`],
      /--preview must be a different file/,
      2,
    ],
    ['compare', (path) => ['compare', '-o', `${path}/folder.png`], /is a folder/, 1],
    [
      "compare's page",
      (path) => ['compare', '-o', `${path}/a.png`, '--html', `${path}/file/x.html`],
      /\/file is not a folder/,
      1,
    ],
    [
      "the page's ending",
      (path) => ['compare', '-o', `${path}/a.png`, '--html', `${path}/x.txt`],
      /--html must end in/,
      2,
    ],
    ["quality's page", (path) => ['quality', '--html', `${path}/file/x.html`], /\/file is not a folder/, 1],
    [
      'a strength for no picture',
      () => ['generate', '--strength', '0.5'],
      /--strength .*give --image too/,
      2,
    ],
    ['a mask for no picture', () => ['generate', '--mask', 'm.png'], /--mask .*give --image too/, 2],
    [
      'a start of no refiner',
      () => ['generate', '--refiner-start', '0.5'],
      /--refiner-start .*give --refiner/,
      2,
    ],
    ['frames a second of no video', () => ['generate', '--fps', '5'], /--fps .*give --frames/, 2],
    ['sizes', () => ['generate', '--width', '-8'], /--width must be a whole number from 1 to 16384/, 2],
    ['frames', () => ['generate', '--frames', '1000'], /--frames must be a whole number from 2 to 512/, 2],
    ['the refiner', () => ['generate', '--refiner', 'nowhere'], /--refiner is not a model: nowhere/, 2],
    [
      'a refiner of another kind',
      () => ['generate', '--refiner', MODEL],
      /--refiner must be an SDXL model; .* is a StableDiffusionPipeline/,
      2,
    ],
    [
      'two readers of stdin',
      () => ['generate', '-p', '-', '--prompts', '-'],
      /standard input, which can be read only once/,
      2,
    ],
    ['no prompt on stdin', () => ['generate', '-p', '-'], /--prompt is missing: standard input is empty/, 2],
  ])('%s', async (_, args, message, code) => {
    mkdirSync(file('folder.png'));
    symlinkSync(file('nothing'), file('dangling'));
    writeFileSync(file('file'), '');
    const [command, ...rest] = args(folder) as [string, ...string[]];
    const result = await runCli([command, ...NOWHERE, ...rest]);
    expect(result.err).toMatch(message);
    expect(result.code).toBe(code);
    expect(readdirSync(folder).sort()).toEqual(['dangling', 'file', 'folder.png']);
  });

  test('a base model that takes no refiner', async () => {
    const { code, err } = await generate(['--refiner', MODEL, '-o', file('x.png')]);
    expect(code).toBe(2);
    expect(err).toContain('--refiner is for SDXL models; the base model is a StableDiffusionPipeline');
  });

  test('no ffmpeg for an MP4, also by default', async () => {
    const { PATH } = process.env;
    process.env.PATH = folder;
    try {
      const { code, err } = await runCli(['generate', ...NOWHERE, '--frames', '4', '-o', file('x.mp4')]);
      expect(code).toBe(1);
      expect(err).toMatch(/MP4 needs the program ffmpeg.*\[ERR_DEEPCACHE_UNSUPPORTED\]/);
    } finally {
      process.env.PATH = PATH;
    }
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('standard output', () => {
  test('takes the picture; the report goes to standard error', async () => {
    const { code, out, err, bytes } = await generate(['-o', '-']);
    expect(code).toBe(0);
    expect(out).toBe('');
    expect(err).toMatch(/^- {2}64x64, seed 3\n/);
    expect((await Image.open(bytes as Buffer)).metadata.parameters).toContain('Seed: 3');
  });

  test.each<[string[], CliOptions, RegExp]>([
    [['--num-images', '2'], {}, /- takes one picture, this makes 2/],
    [['--json'], {}, /both write to standard output/],
    [['--frames', '4'], {}, /is for pictures/],
    [[], { isTerminal: true }, /to a terminal/],
  ])('%j is refused', async (args, options, message) => {
    const { code, err } = await runCli(['generate', ...NOWHERE, '-o', '-', ...args], options);
    expect(err).toMatch(message);
    expect(code).toBe(2);
  });
});

describe('prompts', () => {
  const prompts = async (args: string[], stdin: string) => {
    const { out } = await runCli(
      ['generate', '-m', MODEL, '--steps', '1', '-o', file('a.png'), '--json', ...args],
      { stdin },
    );
    const texts: string[] = [];
    for (const path of JSON.parse(out).files) {
      texts.push((await Image.open(path)).metadata.parameters?.split('\n')[0] as string);
    }
    return texts;
  };

  test('from standard input', async () => {
    expect(await prompts(['-p', '-'], '\ufeffa red house\r\n')).toEqual(['a red house']);
  });

  test('from lines of a file, of standard input, and beside others', async () => {
    writeFileSync(file('prompts.txt'), 'a dog\n\n  a cat \n');
    expect(await prompts(['--prompts', file('prompts.txt')], '')).toEqual(['a dog', 'a cat']);
    rmSync(file('a-1.png'));
    rmSync(file('a-2.png'));
    expect(await prompts(['-p', 'a barn', '--prompts', '-'], 'a dog\na cat\n')).toEqual([
      'a barn',
      'a dog',
      'a cat',
    ]);
  });

  test('more than a run makes are refused, however many they are', async () => {
    const stdin = 'a\n'.repeat(300_000);
    const { code, err } = await runCli(['generate', '-m', MODEL, '--prompts', '-'], { stdin });
    expect(err).toMatch(/makes 300000 images in one run; at most 512/);
    expect(code).toBe(2);
  });
});

test('short videos turn around earlier', async () => {
  const { code, err } = await generate(['--frames', '2', '--steps', '4', '-o', file('v.webp')]);
  expect({ code, err }).toMatchObject({ code: 0 });
});

test('a picture that is too small is told so', async () => {
  const data = new Uint8Array(75);
  await new Image({ width: 5, height: 5, data }).save(file('small.png'));
  const { code, err } = await generate(['-i', file('small.png'), '-o', file('x.png')]);
  expect(err).toContain('--image is 5x5; the smallest picture is 8x8');
  expect(code).toBe(2);
});

test('the library replaces files, as a whole', async () => {
  await using pipe = await DiffusionPipeline.fromPretrained(MODEL);
  const { images } = await pipe.generate({ prompt: 'a', steps: 1 });
  for (let i = 0; i < 2; i++) await images[0]?.save(file('a.png'));
  expect(readdirSync(folder)).toEqual(['a.png']);
});
