import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DiffusionPipeline, Image } from '../lib/index.js';
import { openWeights } from '../lib/weights/open.js';
import { plain } from '../weights-tools/model-parts.js';
import { createProgram } from '../weights-tools/program.js';
import { SafetensorsWriter } from '../weights-tools/safetensors-writer.js';
import { writeWeights } from '../weights-tools/write-weights.js';
import { runCli } from './cli-run.js';
import { writeSd, writeUpscaler } from './pipelines/made-models.js';
import { latentsOf, sameBits } from './pipelines/tiny.js';
import { pickledCopy } from './weights/pickled-copy.js';

const TINY = 'test/fixtures/sd15-tiny';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-layouts-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const path = (name: string) => join(folder, name);
const tool = (...args: string[]) => runCli(args, { create: createProgram });

async function done(...args: string[]): Promise<string> {
  const { code, out, err } = await tool(...args);
  expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
  return out;
}

const sameAs = (a: string, b: string) => tool('diff', a, b);
const namesIn = async (file: string) => (await openWeights(file)).tensors.map(({ name }) => name);

/** A model, the tiny one, with a text encoder as Stable Diffusion 2 has it, which single files keep under open_clip's names. */
function withOpenClip(target: string, model = TINY): string {
  cpSync(model, target, { recursive: true });
  const file = join(target, 'text_encoder/config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...config, hidden_act: 'gelu' }));
  return target;
}

describe('a model folder to a single file and back', () => {
  test.each([
    ['Stable Diffusion 1', () => TINY, 'cond_stage_model.transformer.text_model.final_layer_norm.bias'],
    [
      'Stable Diffusion 2',
      () => withOpenClip(path('open-clip')),
      'cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight',
    ],
  ])('in the layout of %s', async (name, model, expected) => {
    const [source, file, back] = [model(), path(`${name}.safetensors`), path(`${name} back`)];
    await done('convert', source, '-o', file);
    const names = await namesIn(file);
    expect(names).toContain(expected);
    expect(names).toContain('model.diffusion_model.input_blocks.0.0.weight');
    expect(names).toContain('first_stage_model.decoder.mid.attn_1.q.weight');
    await done('convert', file, '-o', back, '--config', source, '-q');
    expect(readdirSync(back).sort()).toEqual([
      'model_index.json',
      'scheduler',
      'text_encoder',
      'tokenizer',
      'unet',
      'vae',
    ]);
    expect((await sameAs(source, back)).out).toMatch(/^\d+ with the same values\n$/);
    expect((await runCli(['inspect', back])).out).toContain('no problems found');
  });

  const IMAGE = new Image({
    width: 64,
    height: 64,
    data: new Uint8Array(3 * 64 * 64).map((_, i) => (i * 7919) % 251),
  });

  test.each<[string, (folder: string) => Promise<string>, object, string]>([
    [
      'the x4 upscaler',
      (folder) => writeUpscaler(folder),
      { image: IMAGE, noiseLevel: 7 },
      'model.diffusion_model.label_emb.weight',
    ],
    [
      'InstructPix2Pix',
      (folder) =>
        writeSd(folder, {
          index: { _class_name: 'StableDiffusionInstructPix2PixPipeline' },
          unet: { in_channels: 8 },
        }),
      { image: IMAGE },
      'model.diffusion_model.input_blocks.0.0.weight',
    ],
    [
      'a depth model',
      async (folder) =>
        withOpenClip(
          folder,
          await writeSd(`${folder} first`, {
            index: { _class_name: 'StableDiffusionDepth2ImgPipeline' },
            unet: { in_channels: 5 },
          }),
        ),
      { image: IMAGE, depthMap: IMAGE },
      'cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight',
    ],
  ])("of %s, whose runs are the folder's, bit for bit", async (name, write, options, expected) => {
    const [file, back] = [path(`${name}.safetensors`), path(`${name} back`)];
    const source = await write(path(name));
    await done('convert', source, '-o', file);
    expect(await namesIn(file)).toContain(expected);
    await done('convert', file, '-o', back, '--config', source, '-q');
    expect((await sameAs(source, back)).out).toMatch(/^\d+ with the same values\n$/);
    expect((await runCli(['inspect', back])).out).toContain('no problems found');
    const runs: Float32Array[] = [];
    for (const [model, config] of [[source], [file, source], [back]] as const) {
      const load = { device: 'cpu', log: () => {}, ...(config && { config }) } as const;
      await using pipe = await DiffusionPipeline.fromPretrained(model, load);
      runs.push(await latentsOf(pipe, options));
    }
    expect(runs.map((run) => sameBits(run, runs[0] as Float32Array))).toEqual([true, true, true]);
  });

  test('in another type, with a variant, in shards', async () => {
    const back = path('shards');
    await done('convert', path('Stable Diffusion 1.safetensors'), ...['-o', back, '--config', TINY]);
    const half = path('half');
    const args = ['--dtype', 'fp16', '--output-variant', 'fp16', '--max-shard-size', '1MB'];
    const out = await done('convert', back, '-o', half, ...args);
    expect(out).toMatch(/unet\/diffusion_pytorch_model\.fp16\.safetensors: .* in \d+ files/);
    const files = readdirSync(join(half, 'unet'));
    expect(files).toContain('diffusion_pytorch_model.fp16.safetensors.index.json');
    expect(
      files.filter((name) => /^diffusion_pytorch_model\.fp16-0000\d-of-0000\d\.safetensors$/.test(name))
        .length,
    ).toBeGreaterThan(1);
    const { code, out: text } = await tool('diff', back, half, '--variant', 'fp16', '--tolerance', '0.01');
    expect(code).toBe(1);
    expect(text).not.toMatch(/only in|of another shape|other values/);
    expect(text).toMatch(/of another type/);
    expect((await runCli(['inspect', half, '--variant', 'fp16'])).out).toContain('no problems found');
  });

  test('of a pickle', async () => {
    const vae = 'diffusion_pytorch_model.safetensors';
    const target = path('pickled');
    cpSync(`${TINY}/vae/config.json`, join(target, 'config.json'));
    pickledCopy(`${TINY}/vae/${vae}`, join(target, 'diffusion_pytorch_model.bin'));
    const { code, out } = await runCli([
      'inspect',
      join(target, 'diffusion_pytorch_model.bin'),
      '--check-weights',
    ]);
    expect(code).toBe(0);
    expect(out).toMatch(/^.*\.bin \(torch zip\)\nan autoencoder\n/);
    await done('convert', target, '-o', path('unpickled'));
    expect((await sameAs(`${TINY}/vae/${vae}`, path(`unpickled/${vae}`))).code).toBe(0);
    await done('convert', join(target, 'diffusion_pytorch_model.bin'), '-o', path('vae.safetensors'));
    expect((await sameAs(`${TINY}/vae/${vae}`, path('vae.safetensors'))).code).toBe(0);
  });
});

test('inspect says what of a single file is loaded', async () => {
  const file = path('Stable Diffusion 1.safetensors');
  const extended = path('extended.safetensors');
  const { tensors } = await openWeights(file);
  const [first] = tensors;
  if (!first) throw new Error('the file is empty');
  const ema = { ...plain(first), name: 'model_ema.decay' };
  await writeWeights(extended, [...tensors.map(plain), ema]);
  const args = ['inspect', extended, '--config', TINY];
  const { tree } = JSON.parse((await runCli([...args, '--json'])).out);
  const row = {
    tensors: expect.any(Number),
    dtypes: ['F32'],
    bytes: expect.any(Number),
    loaded: expect.any(Number),
  };
  expect(tree).toContainEqual({ ...row, name: 'model_ema', tensors: 1, loaded: 0 });
  expect(tree).toContainEqual({ ...row, name: 'first_stage_model.quant_conv', tensors: 2, loaded: 2 });
  const { code, out } = await runCli(args);
  expect(code).toBe(0);
  expect(out).toMatch(/^pipeline +StableDiffusionPipeline$/m);
  expect(out).toMatch(/^model_ema +1 +F32 +\d+ B +not used$/m);
  expect(out).toMatch(/^first_stage_model\.quant_conv +2 +F32 +\d+ B +used$/m);
});

test('a pickle of a whole model loads, and says what it is', async () => {
  const file = path('model.ckpt');
  pickledCopy(path('Stable Diffusion 1.safetensors'), file);
  const args = ['generate', '-m', file, '--config', TINY, '-p', 'x', '--steps', '1', '-o', path('x.png')];
  const { code, err } = await runCli(args);
  expect(err).toContain(`${file} is a pickle of torch: its tensors are read, and nothing in it is run`);
  expect(code).toBe(0);
});

describe('extract', () => {
  test('takes a part out of a single file and out of a folder', async () => {
    const file = path('Stable Diffusion 2.safetensors');
    const config = ['--config', path('open-clip')];
    await done('extract', file, '--part', 'vae', '-o', path('extracted/vae.safetensors'), ...config);
    const vae = `${TINY}/vae/diffusion_pytorch_model.safetensors`;
    expect((await sameAs(path('extracted/vae.safetensors'), vae)).code).toBe(0);
    await done('extract', file, '--part', 'text_encoder', '-o', path('extracted/text'), ...config);
    expect(readdirSync(path('extracted/text')).sort()).toEqual(['config.json', 'model.safetensors']);
    const { out } = await sameAs(
      path('extracted/text/model.safetensors'),
      `${TINY}/text_encoder/model.safetensors`,
    );
    expect(out).not.toMatch(/other values|of another/);
    await done(
      'extract',
      TINY,
      '--part',
      'unet',
      '-o',
      path('extracted/unet.safetensors'),
      '--dtype',
      'bf16',
    );
    const unet = await openWeights(path('extracted/unet.safetensors'));
    expect(new Set(unet.tensors.map(({ dtype }) => dtype))).toEqual(new Set(['BF16']));
  });

  test('names what is not there', async () => {
    const { code, err } = await tool(
      'extract',
      TINY,
      '--part',
      'text_encoder_2',
      '-o',
      path('none.safetensors'),
    );
    expect(code).toBe(1);
    expect(err).toMatch(/text_encoder_2/);
    expect(existsSync(path('none.safetensors'))).toBe(false);
  });
});

describe('diff', () => {
  async function file(
    name: string,
    tensors: Record<string, { dtype: string; shape: number[]; data: ArrayBufferView }>,
  ) {
    const list = Object.entries(tensors);
    const entries = list.map(([key, { dtype, shape, data }]) => ({
      name: key,
      dtype,
      shape,
      bytes: data.byteLength,
    }));
    const writer = await SafetensorsWriter.create(path(name), entries, {});
    for (const [, { data }] of list) await writer.write(new Uint8Array(data.buffer));
    await writer.finish();
    return path(name);
  }
  const f32 = (...values: number[]) => ({
    dtype: 'F32',
    shape: [values.length],
    data: Float32Array.from(values),
  });

  test('says what is missing, and what differs by how much', async () => {
    const a = await file('a.safetensors', {
      same: f32(1, 2),
      near: f32(1, 2, 4),
      shape: f32(1, 2),
      gone: f32(1),
      type: f32(1.5, -0.0),
      ids: { dtype: 'I64', shape: [1], data: BigInt64Array.of(1n) },
      nan: f32(Number.NaN, 1),
      broken: f32(1),
    });
    const b = await file('b.safetensors', {
      same: f32(1, 2),
      near: f32(1, 2.5, 4.25),
      shape: { ...f32(1, 2), shape: [2, 1] },
      new: f32(1),
      type: { dtype: 'F16', shape: [2], data: Uint16Array.of(0x3e00, 0) },
      ids: { dtype: 'I64', shape: [1], data: BigInt64Array.of(2n) },
      nan: f32(Number.NaN, 1),
      broken: f32(Number.NaN),
    });
    const { code, out } = await tool('diff', a, b, '--json');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual({
      onlyInFirst: ['gone'],
      onlyInSecond: ['new'],
      shapes: [{ name: 'shape', first: [2], second: [2, 1] }],
      dtypes: [{ name: 'type', first: 'F32', second: 'F16' }],
      values: [
        { name: 'ids', maxAbs: null, maxRel: null },
        { name: 'broken', maxAbs: null, maxRel: null },
        { name: 'near', maxAbs: 0.5, maxRel: 0.2 },
      ],
      same: 3,
    });
    const { out: text } = await tool('diff', a, b);
    expect(text).toMatch(/^1 only in .*a\.safetensors:\n +gone\n/);
    expect(text).toMatch(/ near +0\.5000 +0\.2000\n/);
    expect(await tool('diff', a, b, '-q')).toMatchObject({ code: 1, out: '' });
    expect((await tool('diff', a, a)).code).toBe(0);
  });

  test('of what is not there', async () => {
    expect((await tool('diff', path('nothing'), TINY)).err).toMatch(/nothing: does not exist/);
  });
});

describe('what is there already', () => {
  test('is replaced by --force alone', async () => {
    const target = path('kept.safetensors');
    const source = `${TINY}/vae/diffusion_pytorch_model.safetensors`;
    writeFileSync(target, 'precious');
    const { code, err } = await tool('convert', source, '-o', target);
    expect(code).toBe(2);
    expect(err).toMatch(/kept\.safetensors is there already; --force replaces it/);
    expect(readFileSync(target, 'utf8')).toBe('precious');
    await done('convert', source, '-o', target, '--force');
    expect((await sameAs(source, target)).code).toBe(0);
  });

  test('stays when something goes wrong', async () => {
    const target = path('stays.safetensors');
    writeFileSync(target, 'precious');
    const [tensor] = (await openWeights(`${TINY}/vae/diffusion_pytorch_model.safetensors`)).tensors;
    if (!tensor) throw new Error('the fixture is empty');
    const twice = [plain(tensor), plain({ ...tensor, name: 'x', offset: tensor.offset + 2 ** 40 })];
    await expect(writeWeights(target, twice)).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_WEIGHTS',
    });
    expect(readFileSync(target, 'utf8')).toBe('precious');
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([]);
  });
});
