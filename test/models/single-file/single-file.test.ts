import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DiffusionPipeline, StableDiffusionImg2ImgPipeline } from '../../../lib/index.js';
import type { LoadOptions } from '../../../lib/pipelines/loading/parts.js';
import { FOLDER, latentsOf, loadTiny, rejection, sameBits } from '../../pipelines/tiny.js';
import { pickledCopy } from '../../weights/pickled-copy.js';
import { assemble, type RawTensor, readRaw, writeRaw } from './assemble.js';

// The tiny model as a single file: its pictures are those of the folder, to the last bit.

let place: string;
let whole: RawTensor[];
let expected: Float32Array;

const UNET = 'model.diffusion_model.';
const VAE = 'first_stage_model.';
const TEXT = 'cond_stage_model.';

beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), 'deepcache-single-'));
  whole = await assemble(FOLDER);
  await using folder = await loadTiny();
  expected = await latentsOf(folder);
});
afterAll(() => rmSync(place, { recursive: true }));

function write(name: string, tensors: readonly RawTensor[]): string {
  const path = join(place, name);
  writeRaw(path, tensors);
  return path;
}

const without = (...prefixes: string[]) =>
  whole.filter(({ name }) => !prefixes.some((prefix) => name.startsWith(prefix)));
const renamed = (rename: (name: string) => string, tensors: readonly RawTensor[] = whole) =>
  tensors.map((tensor) => ({ ...tensor, name: rename(tensor.name) }));
const load = (file: string, options: LoadOptions = {}) =>
  DiffusionPipeline.fromPretrained(file, { config: FOLDER, device: 'cpu', log: () => {}, ...options });

async function expectSame(file: string, options: LoadOptions = {}): Promise<void> {
  await using pipe = await load(file, options);
  expect(sameBits(await latentsOf(pipe), expected)).toBe(true);
}

function extra(name: string, dtype: string, shape: number[], bytes: number): RawTensor {
  return { name, dtype, shape, data: Buffer.alloc(bytes, 0x7f) };
}

describe('a checkpoint', () => {
  test('as it is, with what nobody reads', async () => {
    const extras = [
      extra(`${TEXT}transformer.text_model.embeddings.position_ids`, 'I64', [1, 77], 616),
      extra('betas', 'F32', [4], 16),
      extra(`${TEXT}logit_scale`, 'F32', [], 4),
      extra('global_step', 'I64', [], 8),
    ];
    await expectSame(write('whole.safetensors', [...whole, ...extras]));
  });

  test.each([
    ['of a wrapper', (name: string) => `module.${name}`],
    ['of a compiled model', (name: string) => `_orig_mod.${name}`],
    ['of a compiled U-Net', (name: string) => name.replace(UNET, `${UNET}_orig_mod.`)],
    ['of old text encoders', (name: string) => name.replace('text_model.', '')],
  ])('under the names %s', async (_, rename) => {
    await expectSame(write('renamed.safetensors', renamed(rename)));
  });

  test('as another pipeline', async () => {
    const file = write('whole.safetensors', whole);
    await using pipe = await StableDiffusionImg2ImgPipeline.fromPretrained(file, {
      config: FOLDER,
      device: 'cpu',
      log: () => {},
    });
    expect(pipe).toBeInstanceOf(StableDiffusionImg2ImgPipeline);
  });

  test('frees its text encoder and reads it again', async () => {
    await expectSame(write('whole.safetensors', whole), { unloadTextEncoder: true });
  });

  test('is named by its weights, and by those that stand in for some', async () => {
    const [file, copy] = [write('one.safetensors', whole), write('two.safetensors', whole)];
    const vae = write('vae.safetensors', without(UNET, TEXT));
    const names: (string | undefined)[] = [];
    for (const [path, options] of [
      [file, {}],
      [copy, {}],
      [file, { vae }],
    ] as const) {
      await using pipe = await load(path, options);
      names.push(pipe.model?.fingerprint);
    }
    expect(names[0]).toBe(names[1]);
    expect(names[2]).not.toBe(names[0]);
  });
});

describe('parts from elsewhere', () => {
  const vaeAlone = () =>
    write(
      'vae-alone.safetensors',
      renamed((name) => name.replace(VAE, ''), without(UNET, TEXT)),
    );

  test('are asked for by name, all at once', async () => {
    const file = write('unet.safetensors', without(VAE, TEXT));
    const error = await rejection(load(file));
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_WEIGHTS' });
    expect(error.message).toMatch(
      /unet\.safetensors holds no autoencoder and no text encoder.*vae.*textEncoder/,
    );
    const second = await rejection(load(file, { vae: vaeAlone() }));
    expect(second.message).toMatch(/holds no text encoder: give the option textEncoder \(--text-encoder\)/);
    expect(second.message).not.toContain('autoencoder');
  });

  test('come from files: of the part, or of a whole model', async () => {
    const file = write('unet.safetensors', without(VAE, TEXT));
    await expectSame(file, { vae: vaeAlone(), textEncoder: write('whole.safetensors', whole) });
  });

  test("come from folders: the part's, or a model's", async () => {
    const bare = renamed((name) => name.replace(UNET, ''), without(VAE, TEXT));
    const file = write('bare-unet.safetensors', bare);
    await expectSame(file, { vae: join(FOLDER, 'vae'), textEncoder: FOLDER });
  });

  test('replace those of a folder', async () => {
    const zeros = without(UNET, TEXT).map((tensor) => ({
      ...tensor,
      data: Buffer.alloc(tensor.data.length),
    }));
    await using pipe = await loadTiny({ vae: write('zeros.safetensors', zeros) });
    const { tensor } = await pipe.generate({ prompt: '', steps: 1, seed: 1, output: 'float32' });
    expect(new Set(tensor?.data)).toEqual(new Set([0.5]));
  });

  test('under the names of diffusers', async () => {
    const file = join(FOLDER, 'unet/diffusion_pytorch_model.safetensors');
    await expectSame(file, { vae: FOLDER, textEncoder: FOLDER });
  });

  test.each([
    [{ vae: 'nothing.safetensors' }, /^vae is nothing\.safetensors, which does not exist/],
    [{ vae: 'test' }, /^vae is test, which has neither config\.json nor vae\/config\.json/],
    [{ unet: 'nothing.safetensors' }, /^unet is nothing\.safetensors, which does not exist/],
    [{ textEncoder2: FOLDER }, /^textEncoder2 is for models with a text_encoder_2/],
    [{ config: 'nothing' }, /^config must be a folder or a \.yaml file/],
    [{ useEma: true }, /^useEma is set, and .* has no averaged weights/],
  ])('%p is refused by the option', async (options, message) => {
    const error = await rejection(load(write('whole.safetensors', whole), options));
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
    expect(error.message).toMatch(message);
  });

  test('a file of another part is refused', async () => {
    const other = write('text.safetensors', without(UNET, VAE));
    const error = await rejection(load(write('whole.safetensors', whole), { vae: other }));
    expect(error.message).toMatch(/^vae is .*text\.safetensors, which holds no autoencoder/);
  });

  test('options of single files do not go with folders', async () => {
    for (const options of [{ config: FOLDER }, { useEma: true }]) {
      const error = await rejection(loadTiny(options));
      expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
      expect(error.message).toMatch(/is for models in a single file/);
    }
  });
});

test('averaged weights are taken when they are asked for', async () => {
  const means = without(VAE, TEXT).map((tensor) => ({
    ...tensor,
    name: `model_ema.${tensor.name.replace('model.', '').replaceAll('.', '')}`,
  }));
  const zeros = without(VAE, TEXT).map((tensor) => ({ ...tensor, data: Buffer.alloc(tensor.data.length) }));
  const file = write('ema.safetensors', [...zeros, ...without(UNET), ...means]);
  await expectSame(file, { useEma: true });
  await using plain = await load(file);
  expect(sameBits(await latentsOf(plain), expected)).toBe(false);
});

describe('a training configuration beside it', () => {
  const beside = (name: string, yaml: string) => {
    writeFileSync(join(place, `${name}.yaml`), yaml);
    return write(`${name}.safetensors`, whole);
  };

  test.each([
    ['v', 'model: { params: { parameterization: v } }', 'v_prediction'],
    ['eps', 'model:\n  target: ldm.models.diffusion.ddpm.LatentDiffusion\n  params: {}', 'epsilon'],
    ['sgm', vScaling('VScaling'), 'v_prediction'],
    ['sgm-eps', vScaling('EpsScaling'), 'epsilon'],
    ['silent', 'other: 1', undefined],
  ])('%s says what the network predicts', async (name, yaml, prediction) => {
    const said: string[] = [];
    await using pipe = await load(beside(name, yaml), { log: (text) => said.push(text) });
    expect(pipe.scheduler.config.prediction_type).toBe(prediction ?? 'epsilon');
    expect(said.join()).toMatch(prediction === 'v_prediction' ? /predicts v, by .*\.yaml/ : /^$/);
  });

  test.each([
    ['broken', 'model: [', /broken\.yaml: is not YAML/],
    ['list', '- 1', /list\.yaml: must hold an object/],
    ['aliases', `a: &a [x]\n${aliases()}`, /aliases\.yaml: is not YAML: .*alias/],
    ['large', `a: ${'x'.repeat(2 ** 17)}`, /large\.yaml: has \d+ bytes; at most/],
  ])('%s is refused by its name', async (name, yaml, message) => {
    const error = await rejection(load(beside(name, yaml)));
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_CONFIG' });
    expect(error.message).toMatch(message);
  });

  function vScaling(name: string): string {
    const target = `sgm.modules.diffusionmodules.denoiser_scaling.${name}`;
    return `model: { params: { denoiser_config: { params: { scaling_config: { target: ${target} } } } } }`;
  }

  /** Ten times ten times ten … */
  function aliases(): string {
    const names = 'abcdefghij'.split('');
    return names
      .slice(1)
      .map((name, i) => `${name}: &${name} [${Array(10).fill(`*${names[i]}`).join(', ')}]`)
      .join('\n');
  }
});

test('marker tensors say what a finetune predicts', async () => {
  const marker = (name: string) => extra(name, 'F32', [0], 0);
  const both = write('marked.safetensors', [...whole, marker('v_pred'), marker('ztsnr')]);
  await using pipe = await load(both);
  expect(pipe.scheduler.config).toMatchObject({
    prediction_type: 'v_prediction',
    timestep_spacing: 'trailing',
  });
  const one = write('marked-one.safetensors', [...whole, marker('v_pred')]);
  await using plain = await load(one);
  expect(plain.scheduler.config).toMatchObject({ prediction_type: 'v_prediction' });
  expect(plain.scheduler.config.timestep_spacing).not.toBe('trailing');
});

test('a pickle is told of, and makes the same pictures', async () => {
  const safe = write('whole.safetensors', whole);
  const path = join(place, 'whole.ckpt');
  pickledCopy(safe, path);
  const said: string[] = [];
  await using pipe = await load(path, { log: (text) => said.push(text) });
  expect(sameBits(await latentsOf(pipe), expected)).toBe(true);
  expect(said).toEqual([expect.stringMatching(/whole\.ckpt is a pickle of torch.*nothing in it is run/)]);
});

describe('places', () => {
  test('a folder with just the file is the model', async () => {
    const folder = join(place, 'alone');
    mkdirSync(folder);
    cpSync(write('whole.safetensors', whole), join(folder, 'model.safetensors'));
    await expectSame(folder);
    cpSync(join(folder, 'model.safetensors'), join(folder, 'other.safetensors'));
    const error = await rejection(load(folder));
    expect(error.message).toMatch(/holds several files of weights; give one: .*model\.safetensors/);
  });

  test('damaged files are errors by their names', async () => {
    const file = join(place, 'damaged.safetensors');
    writeFileSync(file, 'not weights at all');
    const error = await rejection(load(file));
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_WEIGHTS' });
    expect(error.message).toContain('damaged.safetensors');
  });

  test('tensors that are missing or of another shape are named', async () => {
    const cut = write(
      'cut.safetensors',
      whole.filter(({ name }) => name !== `${UNET}out.2.weight`),
    );
    const missing = await rejection(load(cut));
    expect(missing).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_WEIGHTS' });
    expect(missing.message).toMatch(
      /its U-Net lacks model\.diffusion_model\.out\.2\.weight \(conv_out\.weight\)/,
    );
    const bent = whole.map((tensor) =>
      tensor.name === `${UNET}out.2.bias` ? { ...tensor, shape: [2, 2] } : tensor,
    );
    const wrong = await rejection(load(write('bent.safetensors', bent)));
    expect(wrong).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_WEIGHTS' });
    expect(wrong.message).toMatch(/conv_out\.bias/);
  });
});

test('the files of the fixture are what was assembled', () => {
  const own = readRaw(join(FOLDER, 'unet/diffusion_pytorch_model.safetensors'));
  expect(without(VAE, TEXT)).toHaveLength(own.length);
});
