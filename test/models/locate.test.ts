import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DiffusionPipeline } from '../../lib/index.js';
import { locateModel } from '../../lib/models/locate.js';

const FIXTURE = resolve('test/fixtures/sd15-tiny');
const UNET = join(FIXTURE, 'unet/diffusion_pytorch_model.safetensors');

let place: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'deepcache-locate-'));
});
afterEach(() => rmSync(place, { recursive: true }));

/** A folder that looks like a model. */
const model = (...path: string[]) => {
  const folder = join(place, ...path);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'model_index.json'), '{}');
  return folder;
};
const cache = (snapshots: readonly string[], main?: string) => {
  const folder = join(place, 'models--acme--tiny');
  for (const name of ['blobs', 'refs', 'snapshots']) mkdirSync(join(folder, name), { recursive: true });
  for (const name of snapshots) model('models--acme--tiny', 'snapshots', name);
  if (main !== undefined) writeFileSync(join(folder, 'refs/main'), main);
  return folder;
};
const message = async (path: string) => {
  try {
    await locateModel(path);
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_CONFIG' });
    return (error as Error).message;
  }
  throw new Error('a model was found');
};

describe('a model is found', () => {
  test('by its folder, and by the file that describes it', async () => {
    expect(await locateModel(FIXTURE)).toEqual({ folder: FIXTURE });
    expect(await locateModel(join(FIXTURE, 'model_index.json'))).toEqual({ folder: FIXTURE });
  });

  test('in the home folder', async () => {
    expect(await message('~/no-such-folder/of-models')).toContain(
      join(homedir(), 'no-such-folder/of-models'),
    );
    expect(await message('~nobody/models')).not.toContain(homedir());
  });

  test("in the Hub's cache: the snapshot of refs/main, or the only one", async () => {
    const folder = cache(['abc', 'def'], 'def\n');
    expect(await locateModel(folder)).toMatchObject({ folder: join(folder, 'snapshots/def') });
    rmSync(join(folder, 'refs'), { recursive: true });
    rmSync(join(folder, 'snapshots/def'), { recursive: true });
    const found = await locateModel(folder);
    expect(found.folder).toBe(join(folder, 'snapshots/abc'));
    expect(found.remark).toContain('abc');
  });

  test('in a folder that holds exactly one', async () => {
    const inside = model('my-model');
    mkdirSync(join(place, 'notes'));
    expect(await locateModel(place)).toMatchObject({
      folder: inside,
      remark: expect.stringContaining(inside),
    });
    rmSync(inside, { recursive: true });
    const folder = cache(['abc'], 'abc');
    expect((await locateModel(place)).folder).toBe(join(folder, 'snapshots/abc'));
  });

  test('in a single file', async () => {
    const file = join(place, 'v1-5-pruned.safetensors');
    cpSync(UNET, file);
    expect(await locateModel(file)).toEqual({ folder: place, file });
    expect(await locateModel(place)).toMatchObject({
      folder: place,
      file,
      remark: expect.stringContaining(file),
    });
    // A pickle beside it is the same in another format.
    writeFileSync(join(place, 'v1-5-pruned.ckpt'), 'PK');
    expect(await locateModel(place)).toMatchObject({ file });
  });

  test('and loaded, which the log tells', async () => {
    const folder = cache([], 'abc');
    cpSync(FIXTURE, join(folder, 'snapshots/abc'), { recursive: true });
    const said: string[] = [];
    const pipe = await DiffusionPipeline.fromPretrained(folder, {
      device: 'cpu',
      log: (text) => said.push(text),
    });
    expect(said).toEqual([expect.stringContaining('snapshot abc')]);
    await pipe.dispose();
  });
});

describe('the way out is told', () => {
  test('for what is not there', async () => {
    expect(await message('./runwayml/stable-diffusion-v1-5')).toMatch(/does not exist/);
    expect(await message('no-such-folder')).toMatch(/does not exist/);
  });

  test('for caches that are not whole', async () => {
    expect(await message(cache([], 'abc'))).toMatch(/no snapshot "abc"/);
    cache(['abc', 'def'], '../../x');
    expect(await message(join(place, 'models--acme--tiny'))).toMatch(/no snapshot "\.\.\/\.\.\/x"/);
    rmSync(join(place, 'models--acme--tiny/refs/main'));
    expect(await message(join(place, 'models--acme--tiny'))).toMatch(/give one: .*abc.*def/);
  });

  test('for several models', async () => {
    model('one');
    model('two');
    expect(await message(place)).toMatch(/several models.*one.*two/);
  });

  test('for files of other kinds', async () => {
    expect(await message(join(FIXTURE, 'README.md'))).toMatch(/does not exist/);
    writeFileSync(join(place, 'x.txt'), 'a model');
    expect(await message(join(place, 'x.txt'))).toMatch(/is a file; a model is a folder .* or a single file/);
    writeFileSync(join(place, 'x.gguf'), 'GGUF');
    expect(await message(join(place, 'x.gguf'))).toMatch(/is a GGUF file, which is not read/);
  });

  test('for several files of weights', async () => {
    writeFileSync(join(place, 'a.ckpt'), 'PK');
    writeFileSync(join(place, 'b.ckpt'), 'PK');
    expect(await message(place)).toMatch(/several files of weights; give one: .*a\.ckpt, .*b\.ckpt/);
  });

  test('for paths that cannot be looked at', async () => {
    const loop = join(place, 'loop');
    symlinkSync(loop, loop);
    expect(await message(loop)).toMatch(/loop: cannot be read: ELOOP/);
    expect(await message('a\0b')).toMatch(/cannot be read: .*null bytes/);
    expect((await message('x'.repeat(100_000))).length).toBeLessThan(400);
    // Of no concern beside a model.
    const inside = model('one');
    expect(await locateModel(place)).toMatchObject({ folder: inside });
  });

  test('for a folder of something else', async () => {
    expect(await message(place)).toMatch(/no model_index\.json/);
  });

  test('for a part of a model', async () => {
    await expect(DiffusionPipeline.fromPretrained(join(FIXTURE, 'unet'))).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_CONFIG',
      message: expect.stringMatching(/UNet2DConditionModel alone.*the whole model is .*sd15-tiny/),
    });
  });

  test('for weights of other variants', async () => {
    cpSync(FIXTURE, place, { recursive: true });
    const unet = (variant: string) => join(place, 'unet', `diffusion_pytorch_model${variant}.safetensors`);
    const loading = (options: object = {}) =>
      DiffusionPipeline.fromPretrained(place, { device: 'cpu', log: () => {}, ...options });
    renameSync(unet(''), unet('.non_ema'));
    await expect(loading()).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_WEIGHTS',
      message: expect.stringMatching(/variant non_ema/),
    });
    const said: string[] = [];
    const pipe = await loading({ variant: 'non_ema', log: (text: string) => said.push(text) });
    expect(said).toEqual(
      ['text_encoder', 'vae'].map((part) =>
        expect.stringMatching(`${part} has no variant non_ema: .*is taken`),
      ),
    );
    await pipe.dispose();
    renameSync(unet('.non_ema'), unet('.fp16'));
    await expect(loading({ variant: 'bf16' })).rejects.toMatchObject({
      message: expect.stringMatching(/no diffusion_pytorch_model\.bf16\.safetensors.*variant fp16/),
    });
  });
});
