import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { UNET_CONFIGS } from '../lib/configs/unets.js';
import { StableDiffusionPipeline } from '../lib/index.js';
import { native } from '../lib/native/binding.js';
import { CLIPTokenizer } from '../lib/tokenizers/clip-tokenizer.js';
import { writeByteTokenizer } from '../weights-tools/byte-tokenizer.js';
import { SMALL_UNET } from '../weights-tools/configs.js';
import { createProgram } from '../weights-tools/program.js';
import { writeSyntheticModel } from '../weights-tools/synthetic-model.js';
import { runCli } from './cli-run.js';

const TINY = 'test/fixtures/sd15-tiny';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-synth-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const path = (name: string) => join(folder, name);
const run = (args: readonly string[], columns = 0) => runCli(args, { create: createProgram, columns });
const configFile = (name: string, config: unknown) => {
  writeFileSync(path(name), JSON.stringify(config));
  return path(name);
};
/** SD 1.5's first level alone, with the middle: its tensors at both ends are those of the real model. */
const oneLevel = {
  ...UNET_CONFIGS.sd15,
  block_out_channels: [320],
  down_block_types: ['DownBlock2D'],
  up_block_types: ['UpBlock2D'],
  layers_per_block: 1,
  sample_size: 8,
};

function halves(file: string, tensor: string, count: number): number[] {
  const source = new (native().SafetensorsFile)(file);
  const bits = new Uint16Array(source.read(tensor)).slice(0, count);
  return Array.from(bits, (half) => {
    const [sign, exponent, mantissa] = [half >> 15 ? -1 : 1, (half >> 10) & 31, half & 1023];
    return sign * (exponent ? (1 + mantissa / 1024) * 2 ** (exponent - 15) : mantissa * 2 ** -24);
  });
}

describe('a U-Net', () => {
  let file: string;
  beforeAll(async () => {
    const config = configFile('one-level.json', oneLevel);
    const { code, out, err } = await run(['synth', '--config', config, '--unet-only', '-o', path('one')]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/one: \d+\.\d M values in /);
    file = path('one/unet/diffusion_pytorch_model.safetensors');
  });

  test('has the values of the definition', () => {
    // From the definition's check values, made with two implementations of it.
    expect(halves(file, 'conv_in.weight', 4)).toEqual([
      0.0411376953125, -0.2203369140625, 0.2408447265625, 0.25244140625,
    ]);
    expect(halves(file, 'conv_in.bias', 4)).toEqual([
      -0.0258026123046875, 0.0190887451171875, 0.0128173828125, 0.040374755859375,
    ]);
    expect(halves(file, 'conv_norm_out.weight', 4)).toEqual([
      0.94677734375, 0.97216796875, 1.0830078125, 1.0615234375,
    ]);
  });

  test('comes alone when asked so, and looks right', async () => {
    expect(existsSync(path('one/model_index.json'))).toBe(false);
    expect(existsSync(path('one/vae'))).toBe(false);
    const { code, out } = await run(['inspect', path('one/unet')]);
    expect(out).toContain('no problems found');
    expect(code).toBe(0);
  });

  test('comes alone when it needs more than a text encoder and an autoencoder', async () => {
    const config = configFile('inpaint.json', { ...oneLevel, in_channels: 9 });
    const { code, err } = await run(['synth', '--config', config, '-o', path('inpaint')]);
    expect(err).toBe('weights-tools: only the U-Net: it takes more than latents\n');
    expect(code).toBe(0);
    expect(existsSync(path('inpaint/model_index.json'))).toBe(false);
  });
});

describe('a whole model', () => {
  const unet = JSON.parse(readFileSync(`${TINY}/unet/config.json`, 'utf8'));

  test('loads and makes pictures, with a tokenizer for any text', async () => {
    await writeSyntheticModel(path('model'), { unet, isSmall: true });
    expect((await run(['inspect', path('model')])).out).toContain('no problems found');
    await using pipe = await StableDiffusionPipeline.fromPretrained(path('model'));
    const options = { steps: 3, seed: 1, guidanceScale: 7.5 };
    const [red, blue] = await Promise.all(
      ['red ❤', 'blue ❤'].map((prompt) => pipe.generate({ ...options, prompt })),
    );
    expect(red?.images[0]).toMatchObject({ width: 64, height: 64 });
    expect(red?.notes).toEqual([]);
    expect(red?.images[0]?.data).not.toEqual(blue?.images[0]?.data);
  });

  test('takes another tokenizer, which the text encoder fits', async () => {
    const tokenizer = `${TINY}/tokenizer`;
    await writeSyntheticModel(path('copied'), { unet, isSmall: true, tokenizer });
    const config = JSON.parse(readFileSync(path('copied/text_encoder/config.json'), 'utf8'));
    expect(config.vocab_size).toBe(1000);
    expect(readFileSync(path('copied/tokenizer/merges.txt'))).toEqual(
      readFileSync(`${tokenizer}/merges.txt`),
    );
  });

  test('fp32 files hold the same values', async () => {
    await writeSyntheticModel(path('fp32'), { unet, unetOnly: true, dtype: 'float32' });
    const file = new (native().SafetensorsFile)(path('fp32/unet/diffusion_pytorch_model.safetensors'));
    const values = new Float32Array(file.read('conv_norm_out.bias'));
    expect([...values]).toEqual(
      halves(path('model/unet/diffusion_pytorch_model.safetensors'), 'conv_norm_out.bias', 16),
    );
  });
});

test('the byte tokenizer gives every byte a token, and the end the largest id', async () => {
  await writeByteTokenizer(folder);
  const tokenizer = await CLIPTokenizer.fromPretrained(folder);
  expect(tokenizer.vocabSize).toBe(514);
  expect(tokenizer.eosTokenId).toBe(513);
  expect(tokenizer.decode(tokenizer.encode('größe 漢字'))).toBe('größe 漢 字');
  expect(tokenizer.encode('aé')).toHaveLength(3);
});

test('the small model has the widths and heads of the real one', async () => {
  const size = { batch: 1, height: 8, width: 8, contextLength: 77 };
  const small = await native().planUnet(JSON.stringify(SMALL_UNET), size).promise;
  const real = await native().planUnet(JSON.stringify(UNET_CONFIGS.sd15), size).promise;
  expect(small.parameters).toBeLessThan(0.6 * real.parameters);
  // Branches of the same numbers cut at the same widths.
  expect(small.branches).toHaveLength(9);
  small.branches.slice(0, 6).forEach(({ featureShape }, i) => {
    expect(featureShape).toEqual(real.branches[i]?.featureShape);
  });
  const { block_out_channels: channels, attention_head_dim: heads } = SMALL_UNET;
  expect((channels as number[]).map((width) => width / (heads as number))).toEqual([40, 80, 160]);
});

test('progress on a terminal', async () => {
  const config = configFile('progress.json', oneLevel);
  const args = ['synth', '--config', config, '--unet-only', '-o', path('progress')];
  const { err } = await run(args, 60);
  expect(err).toMatch(/\runet 100 % of \d+\.\d M values, 0\.00 s left/);
  expect(err.endsWith('\r\x1b[K')).toBe(true);
});

test.each([
  [['synth', '-o', 'x'], 2, /model is missing: give --model, --small or --config/],
  [['synth', '--small'], 2, /required option '-o, --output <folder>' not specified/],
  [['synth', '--small', '--model', 'sd15', '-o', 'x'], 2, /cannot be used with/],
  [['synth', '--model', 'sd9', '-o', 'x'], 2, /Allowed choices are sd15/],
  [['synth', '--small', '-o', 'lib'], 2, /--output lib is not empty/],
  [['synth', '--config', 'nowhere.json', '-o', 'x'], 1, /nowhere\.json: cannot be read/],
  [['synth', '--config', 'package.json', '-o', 'x'], 1, /\[ERR_DEEPCACHE_INVALID_CONFIG\]/],
  [['synth', '--small', '--tokenizer', 'lib', '-o', 'x'], 1, /vocab\.json: is missing/],
])('%j', async (args, expected, message) => {
  const { code, err } = await run(args);
  expect(err).toMatch(message);
  expect(code).toBe(expected);
  expect(existsSync('x')).toBe(false);
});
