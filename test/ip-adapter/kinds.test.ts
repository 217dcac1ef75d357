import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  DiffusionPipeline,
  type StableDiffusionPipeline,
  StableDiffusionXLImg2ImgPipeline,
  StableDiffusionXLPipeline,
} from '../../lib/index.js';
import { ImagePrompts } from '../../lib/ip-adapter/image-prompts.js';
import { IpAdapters } from '../../lib/ip-adapter/ip-adapters.js';
import { repeatOptions } from '../../lib/settings/options.js';
import { parseSettings } from '../../lib/settings/parse.js';
import { AdapterFolder, values } from '../adapters/adapter-files.js';
import { backend } from '../native-addon/tiny-model.js';
import { writeXl } from '../pipelines/made-models.js';
import { distance, latentsOf, loadTiny } from '../pipelines/tiny.js';
import { type Pickled, Tensor, torchLegacy, torchZip } from '../weights/torch-writer.js';
import { writeBase, writeEncoder } from './tiny-ip-adapter.js';

// The containers of IP-Adapters, the models that they are for, and the rows that read them.

const folder = new AdapterFolder();
const embeds = { data: values([1, 24], 5, 3).data, shape: [1, 24] };
const pixels = { data: new Uint8Array(48).fill(7), width: 4, height: 4, channels: 3 } as const;

afterAll(() => folder.remove());

describe('a pickle of a dictionary of dictionaries', () => {
  let pipe: StableDiffusionPipeline;
  beforeAll(async () => {
    pipe = await loadTiny();
  });
  afterAll(() => pipe.dispose());

  /** The tensors of a safetensors file, nested by the first part of their names. */
  function nested(file: string) {
    const bytes = readFileSync(file);
    const start = 8 + Number(bytes.readBigUInt64LE());
    const header = JSON.parse(bytes.subarray(8, start).toString()) as Record<
      string,
      { shape: number[]; data_offsets: [number, number] }
    >;
    const value: Record<string, Record<string, Pickled>> = {};
    const storages: Record<string, Uint8Array> = {};
    for (const [i, [name, { shape, data_offsets }]] of Object.entries(header).entries()) {
      const [group = '', ...rest] = name.split('.');
      value[group] ??= {};
      (value[group] as Record<string, Pickled>)[rest.join('.')] = new Tensor({
        storage: 'FloatStorage',
        key: String(i),
        shape,
        values: (data_offsets[1] - data_offsets[0]) / 4,
      });
      storages[i] = bytes.subarray(start + data_offsets[0], start + data_offsets[1]);
    }
    return { value, storages };
  }

  test('is the same adapter', async () => {
    const file = writeBase(folder, 'base.safetensors', pipe);
    const { value, storages } = nested(file);
    const zip = join(folder.path, 'zip.bin');
    writeFileSync(zip, torchZip(value, storages));
    const old = join(folder.path, 'old.bin');
    const counted = Object.entries(storages).map(
      ([key, data]) => [key, { values: data.length / 4, data }] as const,
    );
    writeFileSync(old, torchLegacy(value, Object.fromEntries(counted)));
    const results: Float32Array[] = [];
    for (const path of [file, zip, old]) {
      const info = await pipe.loadIpAdapter(path);
      expect(info).toMatchObject({ kind: 'base', tokens: 4, file: path });
      results.push(await latentsOf(pipe, { ipAdapterImageEmbeds: embeds }));
      await pipe.unloadIpAdapter();
    }
    expect(distance(results[0] as Float32Array, await latentsOf(pipe))).toBeGreaterThan(1e-3);
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });

  test('the rows of every output read what it is said to read, whatever their number', async () => {
    const adapters = new IpAdapters({ backend, unet: pipe.unet });
    await adapters.add('base', writeBase(folder, 'rows.safetensors', pipe), { folder: undefined }, undefined);
    const pair = {
      data: Float32Array.from([...values([24], 8, 3).data, ...embeds.data]),
      shape: [2, 1, 24],
    };
    const prompts = await ImagePrompts.read(adapters, { ipAdapterImageEmbeds: pair, ipAdapterScale: 0.5 });
    const rowsOf = async (...outputs: ('negative' | 'positive')[]) => {
      const { imagePrompts = [] } = await prompts.encode({ batch: 2, outputs });
      const [{ tokens = new Float32Array(), length = 0 } = {}] = imagePrompts;
      const each = length * pipe.unet.contextWidth;
      return Array.from({ length: tokens.length / each }, (_, i) => tokens.slice(i * each, (i + 1) * each));
    };
    const [first, , second] = await rowsOf('negative', 'positive');
    expect(first).not.toEqual(second);
    expect(await rowsOf('positive')).toEqual([second, second]);
    expect(await rowsOf('negative', 'positive')).toEqual([first, first, second, second]);
    const three = await rowsOf('positive', 'negative', 'negative');
    expect(three).toEqual([second, second, first, first, first, first]);
    adapters.dispose();
  });

  test('a picture that was prompted by pixels or encoded ones cannot be repeated', async () => {
    const encoder = await writeEncoder(folder);
    await pipe.loadIpAdapter(writeBase(folder, 'again.safetensors', pipe), { imageEncoder: encoder });
    try {
      for (const own of [{ ipAdapterImage: pixels }, { ipAdapterImageEmbeds: embeds }]) {
        const { settings } = await pipe.generate({ prompt: 'a', steps: 1, ...own });
        expect(() => repeatOptions(parseSettings(settings[0] as string))).toThrow(
          /again\.safetensors by pictures that were no files/,
        );
      }
    } finally {
      await pipe.unloadIpAdapter();
    }
  });

  test.each(['1', '[]', '[1]', '[{"file":"a"}]', '[{"file":"a","hash":"b","images":[{"file":"c"}]}]', '{'])(
    'settings of %j are refused',
    (text) => {
      const line = `Steps: 1, IP-Adapters: ${JSON.stringify(text)}, Version: deepcache 0.1.0`;
      expect(() => repeatOptions(parseSettings(line))).toThrow(
        expect.objectContaining({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' }),
      );
    },
  );
});

test('SDXL reads pictures, also from a picture, and under a cache', async () => {
  const place = mkdtempSync(join(tmpdir(), 'deepcache-xl-'));
  try {
    const model = await writeXl(join(place, 'xl'));
    await using pipe = await DiffusionPipeline.fromPretrained(model, { device: 'cpu', log: () => {} });
    if (!(pipe instanceof StableDiffusionXLPipeline)) throw new Error('another kind of model');
    const encoder = await writeEncoder(folder);
    expect(existsSync(encoder)).toBe(true);
    const file = writeBase(folder, 'xl.safetensors', pipe);
    const plain = await latentsOf(pipe, { steps: 4 });
    await pipe.loadIpAdapter(file, { imageEncoder: encoder });
    expect(await latentsOf(pipe, { steps: 4 })).toEqual(plain);
    const run = (ipAdapterScale: number, own: object = {}) =>
      latentsOf(pipe, { steps: 4, ipAdapterImage: pixels, ipAdapterScale, ...own });
    const whole = await run(1);
    expect(distance(whole, plain)).toBeGreaterThan(1e-3);
    expect(await run(0)).toEqual(plain);
    expect(await run(1, { cache: { interval: 1, branch: 0 } })).toEqual(whole);
    expect(distance(await run(1, { cache: { interval: 2, branch: 0 } }), whole)).toBeGreaterThan(1e-6);
    await using other = StableDiffusionXLImg2ImgPipeline.from(pipe);
    const from = {
      steps: 4,
      image: { ...pixels, data: new Uint8Array(3 * 64 * 64).fill(90), width: 64, height: 64 },
    };
    const [without, with_] = [
      await latentsOf(other, from),
      await latentsOf(other, { ...from, ipAdapterImage: pixels }),
    ];
    expect(distance(with_, without)).toBeGreaterThan(1e-4);
  } finally {
    rmSync(place, { recursive: true });
  }
});
