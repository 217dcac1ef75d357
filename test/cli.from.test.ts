import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Image, readSettings } from '../lib/index.js';
import { repeatOptions } from '../lib/settings/options.js';
import { parseSettings } from '../lib/settings/parse.js';
import { runCli } from './cli-run.js';

const MODEL = 'test/fixtures/sd15-tiny';
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-from-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const generate = async (name: string, ...flags: string[]) => {
  const file = join(folder, name);
  const argv = ['generate', '-m', MODEL, '--device', 'cpu', '-o', file, '--force', ...flags];
  const { code, err } = await runCli(argv);
  return { file, code, err };
};

describe('generate --from', () => {
  test.each([
    ['png', []],
    ['jpg', []],
    ['webp', ['--cache', 'interval=2,branch=1']],
    ['png', ['--scheduler', 'DPM++ 2M Karras', '--negative-prompt', 'blue, "red": no', '--clip-skip', '1']],
    ['png', ['--seed', '9007199254740993', '--guidance-scale', '3.5', '--width', '72', '--vae-tiling', '64']],
    ['png', ['--scheduler', 'EulerDiscrete', '--timesteps', '900,600,300,10']],
    ['png', ['--guidance-schedule', '7,6,5,4', '--scheduler', 'DDIM']],
    ['png', ['--cutoff-step-index', '2', '--guidance-rescale', '0.5']],
    ['png', ['--hires-fix', 'scale=1.5,strength=0.5,upscaler=bicubic,antialias=true,steps=6']],
    ['png', ['--hires-fix', 'seed=9', '--num-images', '1']],
  ])('repeats a .%s made with %j', async (ending, flags) => {
    const steps = flags.includes('--timesteps') ? [] : ['--steps', '4'];
    const prompt = 'a cat, Steps: 3\nNegative prompt: of a dog';
    const first = await generate(`first.${ending}`, '--prompt', prompt, '--seed', '5', ...steps, ...flags);
    expect(first).toMatchObject({ code: 0 });
    const again = await generate(`again.${ending}`, '--from', first.file);
    expect(again).toMatchObject({ code: 0 });
    const [a, b] = [await Image.open(first.file), await Image.open(again.file)];
    expect(b.metadata).toEqual(a.metadata);
    // Not toEqual, whose message would hold all pixels.
    expect(Buffer.compare(b.data, a.data)).toBe(0);
  });

  test('flags come before what the picture says', async () => {
    const first = await generate('one.png', '--prompt', 'a', '--seed', '5', '--steps', '4');
    const other = await generate('other.png', '--from', first.file, '--seed', '6', '--steps', '3');
    expect((await readSettings(other.file)).fields).toMatchObject({ Seed: '6', Steps: '3' });
    expect((await readSettings(other.file)).prompt).toBe('a');
  });

  test('a file without settings is an error that names it', async () => {
    const file = join(folder, 'plain.png');
    await new Image({ width: 8, height: 8, data: new Uint8Array(192) }).save(file);
    const { code, err } = await generate('never.png', '--from', file);
    expect([code, err]).toEqual([1, expect.stringContaining(`${file} holds no settings`)]);
  });
});

const OF_A_UI = `a castle <lora:stones:0.7>, (sunset:1.2)
Negative prompt: blurry
Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 1234, Size: 512x768, Model hash: 6ce0161689, Clip skip: 2, Lora hashes: "stones: 1a2b, b: 3", Version: v1.9.4`;

test('the text of an image program', () => {
  const settings = parseSettings(OF_A_UI);
  expect(settings.fields['Lora hashes']).toBe('stones: 1a2b, b: 3');
  expect(repeatOptions(settings)).toEqual({
    options: {
      prompt: 'a castle <lora:stones:0.7>, (sunset:1.2)',
      negativePrompt: 'blurry',
      ...{ steps: 20, scheduler: 'DPM++ 2M Karras', guidanceScale: 7, seed: 1234n },
      ...{ width: 512, height: 768, clipSkip: 1 },
    },
    ignored: ['Model hash', 'Lora hashes'],
    position: 0,
  });
});

describe('hostile settings', () => {
  test.each([
    ['', 'no line of names and values'],
    ['a cat', 'no line of names and values'],
    [`Steps: 1, ${'x'.repeat(2 ** 22)}`, 'at most'],
    ['a\nSteps', 'no line of names and values'],
  ])('%# are no settings', (text, message) => {
    expect(() => parseSettings(text)).toThrow(message);
  });

  test.each([
    ['Steps: many, Seed: 1', 'from has Steps: "many", which is not a number'],
    ['Steps: 1, Seed: 1e9', 'which is not a whole number'],
    ['Steps: 1, Seed: 1, Size: 9999999x1', 'which is not WIDTHxHEIGHT'],
    ['Steps: 1, Sampler config: "[1]"', 'which is not an object in JSON'],
    ['Steps: 1, Latents: given, Version: deepcache 0.1.0', 'has "Latents"'.replace('has', 'have')],
  ])('%j', (line, message) => {
    expect(() => repeatOptions(parseSettings(line))).toThrow(message);
  });

  test('names of objects own nothing, and no text takes long', () => {
    expect(repeatOptions(parseSettings('Steps: 1, constructor: 2, __proto__: 3')).options).toEqual({
      prompt: '',
      steps: 1,
    });
    const start = process.cpuUsage();
    expect(() => parseSettings(`${'a:'.repeat(2 ** 20)}\n${'Steps: '.repeat(2 ** 18)}`)).not.toThrow(
      RangeError,
    );
    // Tenths of a second of this process's own time, where what grows with the square would take hours.
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1e6).toBeLessThan(20);
  });
});
