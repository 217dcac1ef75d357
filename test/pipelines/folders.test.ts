import { readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { DiffusionPipeline, StableDiffusionPipeline } from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { BREAKAGES, copyModel } from './broken-models.js';
import { latentsOf, loadTiny, rejection, sameBits } from './tiny.js';

// Model folders: what is wrong with one is said with a code and the file, and costs no memory.

const load = (folder: string, log = (_: string) => {}) =>
  DiffusionPipeline.fromPretrained(folder, { device: 'cpu', log });

let expected: Float32Array;
beforeAll(async () => {
  const pipe = await loadTiny();
  expected = await latentsOf(pipe);
  await pipe.dispose();
});

let folder: string;
beforeEach(() => {
  folder = copyModel();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const works = async () => {
  const pipe = await load(folder);
  const latents = await latentsOf(pipe);
  await pipe.dispose();
  return sameBits(latents, expected);
};

test.each(BREAKAGES)('$name', async ({ damage, code, says }) => {
  await damage(folder);
  const error = await rejection(load(folder));
  expect(error).toMatchObject({ name: 'DeepCacheError', code });
  expect(error.message).toMatch(says);
});

test.each([undefined, null, '', 5, {}])('the folder %p', async (path) => {
  const error = await rejection(load(path as unknown as string));
  expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
  expect(error.message).toContain('model');
});

describe('what is no mistake', () => {
  test("the class of the folder is the pipeline's", async () => {
    const pipe = await load(folder);
    expect(pipe).toBeInstanceOf(StableDiffusionPipeline);
    expect(await latentsOf(pipe)).toEqual(expected);
    await pipe.dispose();
  });

  test('a safety checker is ignored, and the log says so', async () => {
    const path = join(folder, 'model_index.json');
    const safety_checker = ['stable_diffusion', 'StableDiffusionSafetyChecker'];
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), safety_checker }));
    const said: string[] = [];
    const pipe = await load(folder, (message) => said.push(message));
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/safety_checker.*ignored/);
    expect(sameBits(await latentsOf(pipe), expected)).toBe(true);
    await pipe.dispose();
  });

  test('other files, and fields that no model has', async () => {
    writeFileSync(join(folder, 'README.md'), '# a model');
    writeFileSync(join(folder, 'unet/notes.txt'), 'trained for a week');
    const path = join(folder, 'unet/config.json');
    writeFileSync(
      path,
      JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), _name_or_path: '/home', new: 1 }),
    );
    expect(await works()).toBe(true);
  });

  test('weights of one variant only', async () => {
    for (const part of ['unet', 'vae']) {
      const name = 'diffusion_pytorch_model';
      renameSync(join(folder, part, `${name}.safetensors`), join(folder, part, `${name}.fp16.safetensors`));
    }
    expect(await works()).toBe(true);
  });

  test('shards', async () => {
    const name = 'diffusion_pytorch_model';
    const file = join(folder, 'unet', `${name}.safetensors`);
    const tensors = new (native().SafetensorsFile)(file).tensors.map((tensor) => tensor.name);
    const shard = `${name}-00001-of-00001.safetensors`;
    renameSync(file, join(folder, 'unet', shard));
    const weight_map = Object.fromEntries(tensors.map((tensor) => [tensor, shard]));
    writeFileSync(`${file}.index.json`, JSON.stringify({ metadata: {}, weight_map }));
    expect(await works()).toBe(true);
  });

  test('a folder that is removed once it is loaded', async () => {
    const pipe = await load(folder);
    rmSync(folder, { recursive: true });
    expect(sameBits(await latentsOf(pipe), expected)).toBe(true);
    await pipe.dispose();
  });
});

const linux = process.platform === 'linux' ? describe : describe.skip;
linux('nothing is left', () => {
  let pipe: StableDiffusionPipeline;
  beforeAll(async () => {
    pipe = await loadTiny();
  });
  afterAll(() => pipe.dispose());

  const mapped = () => readFileSync('/proc/self/maps', 'utf8').includes(folder);
  const opened = () => readdirSync('/proc/self/fd').length;

  test('of 50 folders whose last part is broken: no memory, no mapping, no open file', async () => {
    // Text encoder and U-Net are loaded by then: 6.5 MB that must be freed each time.
    truncateSync(join(folder, 'vae/diffusion_pytorch_model.safetensors'), 400_000);
    const fail = () => rejection(load(folder));
    for (let i = 0; i < 10; i++) await fail();
    const [before, files] = [native().residentMemory(), opened()];
    for (let i = 0; i < 50; i++)
      expect(await fail()).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_WEIGHTS' });
    expect(native().residentMemory() - before).toBeLessThan(30e6);
    expect(mapped()).toBe(false);
    expect(opened()).toBeLessThanOrEqual(files);
    expect(sameBits(await latentsOf(pipe), expected)).toBe(true);
  });

  test('of 50 pipelines that were loaded, used and disposed', async () => {
    const use = async () => {
      const other = await load(folder);
      await latentsOf(other, { steps: 1 });
      await other.dispose();
    };
    for (let i = 0; i < 10; i++) await use();
    const [before, files] = [native().residentMemory(), opened()];
    for (let i = 0; i < 50; i++) await use();
    expect(native().residentMemory() - before).toBeLessThan(30e6);
    expect(mapped()).toBe(false);
    expect(opened()).toBeLessThanOrEqual(files);
  });
});
