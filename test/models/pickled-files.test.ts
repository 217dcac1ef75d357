import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AutoencoderKL } from '../../lib/models/autoencoder-kl.js';
import { FolderSource } from '../../lib/models/folder-source.js';
import { sourceOf } from '../../lib/models/model-files.js';
import { native } from '../../lib/native/binding.js';
import { openWeights } from '../../lib/weights/open.js';
import { backend, FOLDER, noise } from '../native-addon/tiny-model.js';
import { pickled } from '../weights/pickled-copy.js';
import { Call, Global, pickle, Tensor, torchLegacy, torchZip, writeZip } from '../weights/torch-writer.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-pickled-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A model folder with a part of the tiny model, which has the configuration and these files. */
function partOf(name: string, part: string, files: Record<string, Uint8Array | string>): FolderSource {
  const place = join(folder, name);
  mkdirSync(join(place, part), { recursive: true });
  cpSync(join(FOLDER, part, 'config.json'), join(place, part, 'config.json'));
  for (const [file, bytes] of Object.entries(files)) writeFileSync(join(place, part, file), bytes);
  return new FolderSource(place);
}

const VAE = join(FOLDER, 'vae/diffusion_pytorch_model.safetensors');
const BEYOND_4_GB = 2 ** 32 + 2 ** 20;
const TEXT = join(FOLDER, 'text_encoder/model.safetensors');

async function decoded(source: FolderSource, log: string[] = []): Promise<Float32Array> {
  const found = await source.network('vae', { log: (line) => log.push(line) });
  const vae = await AutoencoderKL.load(backend, found);
  const data = noise(vae.native.latentChannels * 16);
  const result = await vae.native.decode({ data, batch: 1, height: 4, width: 4 }).promise;
  vae.native.dispose();
  return result.data;
}

describe('a folder with pickled weights', () => {
  test('makes the model that safetensors make, and says so', async () => {
    const { value, storages } = pickled(VAE);
    const source = partOf('zip', 'vae', { 'diffusion_pytorch_model.bin': torchZip(value, storages) });
    const log: string[] = [];
    expect(await decoded(source, log)).toEqual(await decoded(new FolderSource(FOLDER)));
    expect(log).toEqual([
      `${join(folder, 'zip/vae/diffusion_pytorch_model.bin')} is a pickle of torch: its tensors are read, and nothing in it is run`,
    ]);
  });

  test('also of the format before 1.6, within a state_dict, and under the name of a variant', async () => {
    const { value, storages } = pickled(VAE);
    const old = Object.entries(storages).map(([key, data]) => {
      const { fields } = Object.values(value).find(
        (tensor) => (tensor as Tensor).fields.key === key,
      ) as Tensor;
      return [key, { values: fields.shape.reduce((a, b) => a * b, 1), data }] as const;
    });
    const bytes = torchLegacy({ state_dict: value }, Object.fromEntries(old));
    const source = partOf('old', 'vae', { 'diffusion_pytorch_model.fp16.bin': bytes });
    expect(await decoded(source)).toEqual(await decoded(new FolderSource(FOLDER)));
  });

  test('also of more than 4 GB, where sizes and places need 64 bits', async () => {
    const { value, storages } = pickled(VAE);
    // What an optimizer leaves, as zeros that take no place on the disk.
    const state = new Tensor({ key: 'moments', shape: [BEYOND_4_GB / 4] });
    const source = partOf('large', 'vae', {});
    const file = join(source.place, 'vae/diffusion_pytorch_model.bin');
    writeZip(file, [
      ['large/data.pkl', pickle({ optimizer: state, state_dict: value })],
      ['large/data/moments', BEYOND_4_GB],
      ...Object.entries(storages).map(([key, data]) => [`large/data/${key}`, data] as const),
    ]);
    expect(statSync(file).size).toBeGreaterThan(BEYOND_4_GB);
    expect(statSync(file).blocks * 512).toBeLessThan(2 ** 26);
    const { tensors } = await openWeights(file);
    expect(Math.min(...tensors.map(({ offset }) => offset))).toBeGreaterThan(BEYOND_4_GB);
    expect(await decoded(source)).toEqual(await decoded(new FolderSource(FOLDER)));
    rmSync(file);
  });

  test('in shards, as transformers calls them', async () => {
    const isEven = (i: number) => i % 2 === 0;
    const [even, odd] = [pickled(TEXT, isEven), pickled(TEXT, (i) => !isEven(i))];
    const names = ['pytorch_model-00001-of-00002.bin', 'pytorch_model-00002-of-00002.bin'] as const;
    const map = [even, odd].flatMap(({ value }, i) => Object.keys(value).map((name) => [name, names[i]]));
    const source = partOf('shards', 'text_encoder', {
      [names[0]]: torchZip(even.value, even.storages),
      [names[1]]: torchZip(odd.value, odd.storages),
      'pytorch_model.bin.index.json': JSON.stringify({ weight_map: Object.fromEntries(map) }),
    });
    const encode = async (place: FolderSource) => {
      const found = await place.network('text_encoder');
      const model = await native().loadTextEncoder(backend, sourceOf(found)).promise;
      const result = await model.encode({ ids: Int32Array.of(5, 6, 7), batch: 1 }).promise;
      model.dispose();
      return result.last;
    };
    expect(await encode(source)).toEqual(await encode(new FolderSource(FOLDER)));
  });

  test('takes safetensors of the same name first', async () => {
    const source = partOf('both', 'vae', { 'diffusion_pytorch_model.bin': 'nothing' });
    cpSync(VAE, join(source.place, 'vae/diffusion_pytorch_model.safetensors'));
    const { files, tensors } = await source.network('vae');
    expect(files).toEqual([join(source.place, 'vae/diffusion_pytorch_model.safetensors')]);
    expect(tensors).toBeUndefined();
  });

  test('that would run something is refused', async () => {
    const { value, storages } = pickled(VAE);
    const call = new Call(new Global('posix', 'system'), ['touch executed']);
    const bytes = torchZip({ ...value, extra: call }, storages);
    const source = partOf('malicious', 'vae', { 'diffusion_pytorch_model.bin': bytes });
    await expect(source.network('vae')).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_WEIGHTS',
      message: expect.stringMatching(/would run "posix\.system"/),
    });
  });

  test('that is another file when it is loaded is an error', async () => {
    const { value, storages } = pickled(VAE);
    const source = partOf('changed', 'vae', { 'diffusion_pytorch_model.bin': torchZip(value, storages) });
    const found = await source.network('vae');
    const bytes = torchZip(value, storages);
    bytes[bytes.length - 1] = 0;
    writeFileSync(found.files[0] as string, Buffer.concat([bytes, Buffer.alloc(100)]));
    await expect(AutoencoderKL.load(backend, found)).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_WEIGHTS',
      message: expect.stringMatching(/was changed while it was being read/),
    });
  });
});
