import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Loras } from '../../lib/adapters/loras.js';
import { hasTags, readTags } from '../../lib/adapters/tags.js';
import { wantedLoras } from '../../lib/cli/loras.js';
import { StableDiffusionImg2ImgPipeline, type StableDiffusionPipeline } from '../../lib/index.js';
import { latentsOf, loadTiny, rejection, sameBits } from '../pipelines/tiny.js';
import { writeSafetensors } from '../safetensors-file.js';
import { AdapterFolder, scalar, type Tensors, values, type Written } from './adapter-files.js';

// Adapters as people have them: odd names, slips in prompts, files with numbers that are none, loaded and unloaded in any order.

const LAYER = 'down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q';
const KEY = `lora_unet_${LAYER.replaceAll('.', '_')}`;

const folder = new AdapterFolder();
let pipe: StableDiffusionPipeline;
let published: Float32Array;

beforeAll(async () => {
  pipe = await loadTiny();
  published = await latentsOf(pipe);
});
afterEach(() => pipe.unloadLora());
afterAll(async () => {
  await pipe.dispose();
  folder.remove();
});

/** An adapter of one layer. */
const adapter = (seed: number, alpha: Written = scalar(2)): Tensors => ({
  [`${KEY}.lora_down.weight`]: values([2, 16], seed),
  [`${KEY}.lora_up.weight`]: values([16, 2], seed + 1),
  [`${KEY}.alpha`]: alpha,
});

describe('prompts', () => {
  test.each([
    ['<lora:style', 'which does not end'],
    ['a <lora:style:0.8, a house', 'which does not end'],
    ['<lora:style:>', 'in which "" is no number'],
    ['<lora:style:0.8:>', 'in which "" is no number'],
    ['<lora:style:0,8>', 'in which "0,8" is no number'],
    ['<lora:style:1e-1>', 'in which "1e-1" is no number'],
    ['<lora:style:NaN>', 'in which "NaN" is no number'],
    ['<lora:style:--1>', 'in which "--1" is no number'],
    ['<lora:style:1:dyn=8>', 'in which "dyn=8" is no number'],
    ['<lora:style:1:1:1>', 'which has more than two numbers'],
    ['<lora:style:te=1:te=0.5>', 'which has te= twice'],
    ['<lora:style:101>', 'in which 101 is not from -100 to 100'],
    ['<lora::0.8>', 'which names no adapter'],
    ['<lora:>', 'which names no adapter'],
    ['<LyCO:style:x>', 'in which "x" is no number'],
  ])('%s is a slip, and no text', (text, problem) => {
    expect(hasTags(text)).toBe(true);
    expect(() => readTags('prompt', text)).toThrow(
      expect.objectContaining({
        code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
        message: expect.stringContaining(problem),
      }),
    );
  });

  test.each([
    ['<lora:style>', 1],
    ['<lora: my style : .5 >', 0.5],
    ['<LORA:style:+0.5>', 0.5],
    ['<lyco:style:-1.>', -1],
    ['<lora:style:0.5:0.8>', { unet: 0.8, textEncoder: 0.5, textEncoder2: 0.5 }],
  ])('%s', (text, scale) => {
    const read = readTags('prompt', `a ${text} house`);
    expect(read.text).toBe('a  house');
    expect(read.uses).toEqual([{ name: text.includes('my') ? 'my style' : 'style', scale }]);
  });

  test.each(['a lora:style house', '<b>house</b>', 'x < lora:y > z'])('%s is text', (text) => {
    expect(hasTags(text)).toBe(false);
    expect(readTags('prompt', text)).toEqual({ text, uses: [] });
  });
});

test('negative prompts name none, and say so', async () => {
  await pipe.loadLora(folder.write('style.safetensors', adapter(1)), { scale: 0 });
  const options = { prompt: 'a', negativePrompt: ['b <lora:style:1>'], loraSyntax: true, steps: 1 };
  const error = await rejection(pipe.generate(options));
  expect(error.code).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
  expect(error.message).toMatch(/^negativePrompt names an adapter/);
});

describe('names', () => {
  test.each([
    ["Anime, Style (v2) 'best' 漢字.safetensors", "Anime, Style (v2) 'best' 漢字"],
    ['a <b>:c.safetensors', 'a _b__c'],
    [`${'n'.repeat(240)}.safetensors`, 'n'.repeat(200)],
    ['.safetensors', '.safetensors'],
  ])('a file %s can be loaded without a name', async (file, name) => {
    expect(Loras.nameOf(file)).toBe(name);
    const info = await pipe.loadLora(folder.write(file, adapter(1)));
    expect(info.name).toBe(name);
  });

  test('with a comma keep settings readable', async () => {
    const { hash } = await pipe.loadLora(folder.write('one, two.safetensors', adapter(1)));
    const tagged = { prompt: 'a <lora:one, two:0.5>', loraSyntax: true, steps: 1 };
    const { settings } = await pipe.generate(tagged);
    expect(settings[0]).toContain('Loras: "one two: 0.5"');
    expect(settings[0]).toContain(`Lora hashes: "one two: ${hash}"`);
  });
});

test('~ is the home folder, of all that a path names', async () => {
  const home = '~/no-such-folder/x.safetensors';
  const { signal } = new AbortController();
  for (const work of [
    () => pipe.loadLora(home),
    () => pipe.loadTextualInversion(home),
    () => loadTiny({ vae: home }),
    () => loadTiny({ textEncoder: home }),
    () => wantedLoras({ lora: [home] }, {}, signal),
    () => wantedLoras({ loraDir: '~/no-such-folder' }, { prompt: ['<lora:x>'] }, signal),
  ]) {
    expect((await rejection(work())).message).toContain(join(homedir(), 'no-such-folder'));
  }
});

describe('numbers that are none', () => {
  test.each<[string, Written, string]>([
    ['two', { shape: [2], data: Float32Array.of(1, 1) }, 'must be a number, and is F32 [2]'],
    ['none', { shape: [0], data: new Float32Array(0) }, 'must be a number, and is F32 [0]'],
    ['NaN', scalar(Number.NaN), 'must be a number, and is NaN'],
  ])('alpha of %s', async (name, alpha, problem) => {
    const error = await rejection(
      pipe.loadLora(folder.write(`alpha-${name}.safetensors`, adapter(1, alpha))),
    );
    expect(error.code).toBe('ERR_DEEPCACHE_INVALID_WEIGHTS');
    expect(error.message).toContain(`alpha-${name}.safetensors`);
    expect(error.message).toContain(`${KEY}.alpha`);
    expect(error.message).toContain(problem);
  });

  test('alpha of any type of numbers is one', async () => {
    const picture = async (dtype: string, data: ArrayBufferView) => {
      const file = `${folder.path}/alpha-${dtype}.safetensors`;
      writeSafetensors(file, { ...adapter(1), [`${KEY}.alpha`]: { shape: [], data, dtype } });
      await pipe.unloadLora();
      await pipe.loadLora(file);
      return latentsOf(pipe);
    };
    const expected = await picture('F32', Float32Array.of(3));
    expect(sameBits(expected, await picture('F32', Float32Array.of(2)))).toBe(false);
    expect(sameBits(await picture('F8_E4M3', Uint8Array.of(0x44)), expected)).toBe(true);
    expect(sameBits(await picture('F8_E5M2', Uint8Array.of(0x42)), expected)).toBe(true);
    expect(sameBits(await picture('F64', Float64Array.of(3)), expected)).toBe(true);
    expect(sameBits(await picture('I64', BigInt64Array.of(3n)), expected)).toBe(true);
  });

  test('values: who made the picture black is named', async () => {
    const down = values([2, 16], 1);
    down.data.fill(Number.NaN);
    const file = folder.write('nan.safetensors', { ...adapter(1), [`${KEY}.lora_down.weight`]: down });
    await pipe.loadLora(folder.write('fine.safetensors', adapter(5)));
    await pipe.loadLora(file, { scale: 0 });
    for (const options of [{ prompt: 'a <lora:nan:1>', loraSyntax: true }, { prompt: 'a' }]) {
      if (!options.loraSyntax) await pipe.setLoras([{ name: 'nan' }]);
      const error = await rejection(pipe.generate({ ...options, steps: 1 }));
      expect(error.code).toBe('ERR_DEEPCACHE_NOT_FINITE');
      expect(error.message).toMatch(
        /the weight ".*to_q\.weight" of .*, with what .*nan\.safetensors adds? to it$/,
      );
    }
    await pipe.unloadLora('nan');
    await pipe.unloadLora('fine');
    expect(sameBits(await latentsOf(pipe), published)).toBe(true);
  });
});

test('what is unloaded in another order leaves the rest as if it had never been there', async () => {
  const files = [1, 3, 5].map((seed) => folder.write(`${seed}.safetensors`, adapter(seed)));
  /** What the pipeline makes with some of them alone. */
  const alone = async (...indices: number[]) => {
    await pipe.unloadLora();
    for (const i of indices) await pipe.loadLora(files[i] as string);
    return latentsOf(pipe);
  };
  const [both, last] = [await alone(0, 2), await alone(2)];
  await alone(0, 1, 2);
  await pipe.unloadLora('3');
  expect(sameBits(await latentsOf(pipe), both)).toBe(true);
  await pipe.unloadLora('1');
  expect(sameBits(await latentsOf(pipe), last)).toBe(true);
  await pipe.unloadLora('5');
  expect(sameBits(await latentsOf(pipe), published)).toBe(true);
});

test('the same file under two names counts twice', async () => {
  const file = folder.write('same.safetensors', adapter(1));
  await pipe.loadLora(file, { scale: 0.75 });
  const once = await latentsOf(pipe);
  await pipe.unloadLora();
  await pipe.loadLora(file, { scale: 0.5 });
  await pipe.loadLora(file, { name: 'again', scale: 0.25 });
  const twice = await latentsOf(pipe);
  const difference = Math.max(...twice.map((value, i) => Math.abs(value - (once[i] as number))));
  expect(sameBits(twice, published)).toBe(false);
  expect(difference).toBeLessThan(1e-4);
});

test('a pipeline over the same models goes, and its adapters stay', async () => {
  const own = await loadTiny();
  const other = StableDiffusionImg2ImgPipeline.from(own);
  await other.loadLora(folder.write('stays.safetensors', adapter(1)));
  const before = await latentsOf(own);
  expect(sameBits(before, published)).toBe(false);
  await other.dispose();
  expect(own.loras.map(({ name }) => name)).toEqual(['stays']);
  expect(sameBits(await latentsOf(own), before)).toBe(true);
  await own.unloadLora('stays');
  expect(sameBits(await latentsOf(own), published)).toBe(true);
  await own.dispose();
});
