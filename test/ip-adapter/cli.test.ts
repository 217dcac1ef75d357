import { renameSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Image, readSettings } from '../../lib/index.js';
import { AdapterFolder } from '../adapters/adapter-files.js';
import { runCli } from '../cli-run.js';
import { FOLDER, loadTiny } from '../pipelines/tiny.js';
import { writeBase, writeEncoder, writePlus } from './tiny-ip-adapter.js';

// --ip-adapter and --image-encoder, on the commands that make pictures.

const folder = new AdapterFolder();
const path = (name: string) => `${folder.path}/${name}`;
const MODEL = ['-m', FOLDER, '--device', 'cpu', '--scheduler', 'DDIM'];
const BASE = path('base.safetensors');

beforeAll(async () => {
  await using pipe = await loadTiny();
  writeBase(folder, 'base.safetensors', pipe);
  writePlus(folder, 'plus=b.safetensors', pipe);
  await writeEncoder(folder);
  for (const [name, seed] of [
    ['a.png', 3],
    ['b:2.png', 5],
  ] as const) {
    const data = Uint8Array.from({ length: 40 * 50 * 3 }, (_, i) => (i * i * seed) % 251);
    await new Image({ width: 40, height: 50, data }).save(path(name));
  }
});
afterAll(() => folder.remove());

async function made(name: string, ...args: string[]): Promise<Image> {
  const argv = ['generate', ...MODEL, '--steps', '3', '-s', '7', '-p', 'a', '-q', '-o', path(name), ...args];
  const { code, err } = await runCli(argv);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return Image.open(path(name));
}

const same = (a: Image, b: Image) => Buffer.compare(a.data, b.data) === 0;

describe('generate', () => {
  test('a picture counts as its scale says, a number or blocks', async () => {
    const plain = await made('plain.png');
    const whole = await made('whole.png', '--ip-adapter', `${BASE}=${path('a.png')}`);
    const half = await made('half.png', '--ip-adapter', `${BASE}=${path('a.png')}:0.5`);
    const nothing = await made('nothing.png', '--ip-adapter', `${BASE}=${path('a.png')}:0`);
    const blocks = '{"down":0.5,"mid":0.5,"up":0.5}';
    const byBlocks = await made('blocks.png', '--ip-adapter', `${BASE}=${path('a.png')}:${blocks}`);
    expect(same(whole, plain)).toBe(false);
    expect(same(half, whole)).toBe(false);
    expect(same(nothing, plain)).toBe(true);
    expect(same(byBlocks, half)).toBe(true);
  });

  test('a file that is named again reads one more picture; several files are several adapters', async () => {
    const first = ['--ip-adapter', `${BASE}=${path('a.png')}:0.5`];
    const again = ['--ip-adapter', `${BASE}=${path('b:2.png')}:0.5`];
    const plus = ['--ip-adapter', `${path('plus=b.safetensors')}=${path('b:2.png')}`];
    const one = await made('one.png', ...first);
    const two = await made('two.png', ...first, ...again);
    const both = await made('both.png', ...first, ...plus);
    expect(same(one, two)).toBe(false);
    expect(same(one, both)).toBe(false);
    expect(JSON.parse((await readSettings(path('two.png'))).fields['IP-Adapters'] as string)).toMatchObject([
      { file: BASE, scale: 0.5, images: [{ file: path('a.png') }, { file: path('b:2.png') }] },
    ]);
  });

  test('--from finds the adapters and the pictures again, or says what is not as it was', async () => {
    const plus = ['--ip-adapter', `${path('plus=b.safetensors')}=${path('b:2.png')}:0.7`];
    const first = await made('first.png', '--ip-adapter', `${BASE}=${path('a.png')}:{"up":0.5}`, ...plus);
    const repeat = (...args: string[]) =>
      runCli(['generate', ...MODEL.slice(0, 4), '--from', path('first.png'), '-q', ...args]);
    expect(await repeat('-o', path('again.png'))).toMatchObject({ code: 0, err: '' });
    const again = await Image.open(path('again.png'));
    expect(same(again, first)).toBe(true);
    expect(again.metadata).toEqual(first.metadata);

    renameSync(path('a.png'), path('kept.png'));
    try {
      expect((await repeat('-o', path('never.png'))).err).toMatch(
        /--from was made with ".*a\.png", which is not there/,
      );
      await first.save(path('a.png'));
      expect((await repeat('-o', path('never.png'))).err).toMatch(/a\.png is another picture than the one/);
    } finally {
      renameSync(path('kept.png'), path('a.png'));
    }
    await using pipe = await loadTiny();
    renameSync(BASE, path('kept.safetensors'));
    try {
      writeBase(folder, 'base.safetensors', pipe, 50);
      expect((await repeat('-o', path('never.png'))).err).toMatch(/base\.safetensors is another file/);
    } finally {
      renameSync(path('kept.safetensors'), BASE);
    }
  });
});

describe('other commands', () => {
  test('quality measures with them', async () => {
    const run = async (...args: string[]) => {
      const cost = ['--steps', '4', '--repeats', '1', '-c', 'interval=2', '-p', 'a', '--json'];
      const { code, out, err } = await runCli(['quality', ...MODEL, ...cost, ...args]);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      return JSON.parse(out).rows[1].psnr;
    };
    expect(await run('--ip-adapter', `${BASE}=${path('a.png')}`)).not.toBe(await run());
  });

  test('macs counts them', async () => {
    const run = async (...args: string[]) => (await runCli(['macs', FOLDER, ...args])).out;
    expect(await run()).not.toContain('of pictures');
    expect(await run('--image-tokens', '4,16')).toContain('77 tokens and 4 + 16 of pictures');
    const full = async (...args: string[]) => JSON.parse(await run('--json', ...args)).full.complete;
    const [none, four, eight] = [
      await full(),
      await full('--image-tokens', '4'),
      await full('--image-tokens', '4,4'),
    ];
    expect(four).toBeGreaterThan(none);
    expect(eight - four).toBe(four - none);
  });
});

describe('what is wrong is said before a model is loaded', () => {
  test.each([
    [['--ip-adapter', BASE], 'must be FILE=picture'],
    [['--ip-adapter', `none.bin=${path('a.png')}`], 'names a file that is not there: "none.bin"'],
    [['--ip-adapter', `${BASE}=none.png`], 'none.png'],
    [['--ip-adapter', `${BASE}=${path('a.png')}:{"left":1}`], 'left is not known'],
    [
      ['--ip-adapter', `${BASE}=${path('a.png')}:1`, '--ip-adapter', `${BASE}=${path('a.png')}:2`],
      'two scales',
    ],
    [['--ip-adapter', `${BASE}=${path('a.png')}`, '--image-encoder', 'none'], 'not there: "none"'],
    [['--image-encoder', 'none'], 'give --ip-adapter too'],
    [['--ip-adapter', `${BASE}=${path('a.png')}`, '--frames', '4'], '--ip-adapter'],
  ])('%j', async (args, message) => {
    const { code, err } = await runCli(['generate', ...MODEL, '-p', 'a', '-o', path('never.png'), ...args]);
    expect(err).toContain(message);
    expect([1, 2]).toContain(code);
    expect(err).not.toContain('loading');
  });
});
