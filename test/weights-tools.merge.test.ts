import { copyFileSync, cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DiffusionPipeline, type StableDiffusionPipeline } from '../lib/index.js';
import { readModelIndex } from '../lib/pipelines/loading/model-index.js';
import { openWeights } from '../lib/weights/open.js';
import type { StoredTensor } from '../lib/weights/stored-tensor.js';
import { MergedWeights } from '../weights-tools/merged-weights.js';
import { createProgram } from '../weights-tools/program.js';
import { AdapterFolder, scalar, type Tensors, values } from './adapters/adapter-files.js';
import { runCli } from './cli-run.js';
import { distance, FOLDER, latentsOf, loadTiny } from './pipelines/tiny.js';

// A model with adapters in its weights makes the pictures of the model with the adapters on it.

const BLOCK = 'down_blocks.0.attentions.0.transformer_blocks.0';
const ATTENTION = 'text_model.encoder.layers.0.self_attn';
const RANK = 3;

const folder = new AdapterFolder();
const path = (name: string) => join(folder.path, name);
const merge = (...args: string[]) => runCli(['merge-lora', ...args], { create: createProgram });

/** Sizes of the weights, by the part and the layer. */
const shapes = new Map<string, readonly number[]>();
let published: Float32Array;

beforeAll(async () => {
  await using pipe = await loadTiny();
  published = await latentsOf(pipe);
  for (const { name, shape } of pipe.unet.weightShapes()) shapes.set(`unet.${name}`, shape);
  for (const { name, shape } of pipe.textEncoder.weightShapes()) shapes.set(`text_encoder.${name}`, shape);
  for (const [name, write] of Object.entries(KINDS)) folder.write(`${name}.safetensors`, write());
});
afterAll(() => folder.remove());

const shapeOf = (layer: string) => shapes.get(`${layer}.weight`) as readonly number[];
const kohya = (layer: string) =>
  layer
    .replace(/^unet\./, 'lora_unet_')
    .replace(/^text_encoder\./, 'lora_te_')
    .replaceAll('.', '_');

/** up [rows, rank, 1, 1], down [rank, in, kh, kw] */
function factors(layer: string, seed: number) {
  const [rows = 0, ...inner] = shapeOf(layer);
  const up = values([rows, RANK, ...inner.slice(1).map(() => 1)], seed);
  return { up, down: values([RANK, ...inner], seed + 1) };
}

function loraOf(layers: readonly string[]): Tensors {
  return Object.fromEntries(
    layers.flatMap((layer, i) => {
      const { up, down } = factors(layer, 10 * i + 1);
      const name = kohya(layer);
      return [
        [`${name}.lora_up.weight`, up],
        [`${name}.lora_down.weight`, down],
        [`${name}.alpha`, scalar(6)],
      ];
    }),
  );
}

const KINDS = {
  lora: () =>
    loraOf([
      `unet.${BLOCK}.attn1.to_q`,
      `unet.${BLOCK}.attn2.to_k`,
      'unet.down_blocks.0.resnets.0.conv1',
      `text_encoder.${ATTENTION}.q_proj`,
      `text_encoder.${ATTENTION}.out_proj`,
    ]),
  loha: () => {
    const layer = `unet.${BLOCK}.attn1.to_v`;
    const [one, two] = [factors(layer, 31), factors(layer, 33)];
    return Object.fromEntries([
      [`${kohya(layer)}.hada_w1_a`, one.up],
      [`${kohya(layer)}.hada_w1_b`, one.down],
      [`${kohya(layer)}.hada_w2_a`, two.up],
      [`${kohya(layer)}.hada_w2_b`, two.down],
    ]);
  },
  dora: () => {
    const layer = `unet.${BLOCK}.attn2.to_v`;
    const [rows = 0] = shapeOf(layer);
    return { ...loraOf([layer]), [`${kohya(layer)}.dora_scale`]: values([rows, 1], 41, 1) };
  },
  full: () => ({
    [`${kohya('unet.mid_block.resnets.0.conv2')}.diff`]: values(
      shapeOf('unet.mid_block.resnets.0.conv2'),
      51,
      0.05,
    ),
    [`${kohya('unet.conv_in')}.diff_b`]: values([shapeOf('unet.conv_in')[0] ?? 0], 52),
  }),
};
type Kind = keyof typeof KINDS;
const file = (kind: Kind) => path(`${kind}.safetensors`);

async function loadFrom(model: string): Promise<StableDiffusionPipeline> {
  const loading = DiffusionPipeline.fromPretrained(model, { device: 'cpu', log: () => {} });
  return (await loading) as StableDiffusionPipeline;
}

/** The latents of a folder with adapters on it. */
async function loaded(loras: readonly (readonly [Kind, number])[], model = FOLDER): Promise<Float32Array> {
  await using pipe = await loadFrom(model);
  for (const [kind, scale] of loras) await pipe.loadLora(file(kind), { scale });
  return await latentsOf(pipe);
}

async function done(...args: string[]): Promise<string> {
  const { code, out, err } = await merge(...args);
  expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
  return out;
}

describe('the pictures of a merged model', () => {
  test.each<[Kind, number]>([
    ['lora', 0.7],
    ['lora', -0.5],
    ['loha', 1],
    ['dora', 0.6],
    ['full', 0.8],
  ])('%s:%p', async (kind, scale) => {
    const output = path(`merged ${kind} ${scale}`);
    const out = await done(FOLDER, `${file(kind)}:${scale}`, '-o', output, '--dtype', 'fp32');
    expect(out).toContain(`weights changed by ${kind}.safetensors (${scale})`);
    const wanted = await loaded([[kind, scale]]);
    expect(distance(wanted, published)).toBeGreaterThan(1e-3);
    await using pipe = await loadFrom(output);
    expect(distance(await latentsOf(pipe), wanted)).toBeLessThan(1e-5);
  });

  test('of several, each with its own scale', async () => {
    const output = path('several');
    const loras = [`${file('lora')}:0.5`, file('dora'), `${file('full')}:.25`];
    const out = await done(FOLDER, ...loras, '-o', output, '--dtype', 'fp32');
    expect(out).toContain('lora.safetensors (0.5), dora.safetensors (1), full.safetensors (0.25)');
    const wanted = await loaded([
      ['lora', 0.5],
      ['dora', 1],
      ['full', 0.25],
    ]);
    await using pipe = await loadFrom(output);
    expect(distance(await latentsOf(pipe), wanted)).toBeLessThan(1e-5);
  });
});

describe('layouts', () => {
  /** Stable Diffusion 2's text encoder: single files have three projections in one tensor, and another one turned. */
  function withOpenClip(): string {
    const target = path('open-clip');
    cpSync(FOLDER, target, { recursive: true });
    const config = join(target, 'text_encoder/config.json');
    const value = JSON.parse(readFileSync(config, 'utf8'));
    writeFileSync(config, JSON.stringify({ ...value, hidden_act: 'gelu' }));
    return target;
  }

  test('folders and single files get the same weights', async () => {
    const model = withOpenClip();
    const single = path('single.safetensors');
    expect((await runCli(['convert', model, '-o', single], { create: createProgram })).code).toBe(0);
    const outputs = {
      'folder to folder': [model, path('folder-folder')],
      'folder to file': [model, path('folder-file.safetensors')],
      'file to file': [single, path('file-file.safetensors')],
      'file to folder': [single, path('file-folder')],
    } as const;
    const options = ['--dtype', 'fp32', '-q'];
    for (const [input, output] of Object.values(outputs)) {
      const config = input === single ? ['--config', model] : [];
      expect(await done(input, `${file('lora')}:0.7`, '-o', output, ...options, ...config)).toBe('');
    }
    const [folders, file1, file2, back] = Object.values(outputs).map(([, output]) => output) as [
      string,
      string,
      string,
      string,
    ];
    const converted = path('converted.safetensors');
    await runCli(['convert', folders, '-o', converted], { create: createProgram });
    for (const [one, other] of [
      [file1, file2],
      [file1, converted],
      [folders, back],
    ] as const) {
      const { out, err } = await runCli(['diff', one, other], { create: createProgram });
      expect(err + out).toMatch(/^\d+ with the same values\n$/);
    }
    const { tensors } = await openWeights(outputs['file to file'][1]);
    expect(tensors.map(({ name }) => name)).toContain(
      'cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight',
    );
    expect(existsSync(join(outputs['file to folder'][1], 'model_index.json'))).toBe(true);
    const wanted = await loaded([['lora', 0.7]], model);
    await using pipe = await loadFrom(outputs['folder to folder'][1]);
    expect(distance(await latentsOf(pipe), wanted)).toBeLessThan(1e-5);
  });

  test('types stay, and what no adapter changes stays bit for bit', async () => {
    const half = path('half');
    const args = ['convert', FOLDER, '-o', half, '--dtype', 'fp16'];
    expect((await runCli(args, { create: createProgram })).code).toBe(0);
    const output = path('merged half');
    await done(half, file('full'), '-o', output, '--output-variant', 'merged');
    const weights = join(output, 'unet/diffusion_pytorch_model.merged.safetensors');
    expect(new Set((await openWeights(weights)).tensors.map(({ dtype }) => dtype))).toEqual(new Set(['F16']));
    const { out, err } = await runCli(['diff', half, output, '--variant', 'merged', '--json'], {
      create: createProgram,
    });
    expect(err).toBe('');
    const changed = (JSON.parse(out).values as { name: string }[]).map(({ name }) => name).sort();
    expect(changed).toEqual(['unet.conv_in.bias', 'unet.mid_block.resnets.0.conv2.weight']);
  });
});

describe('a weight', () => {
  const layer = `unet.${BLOCK}.ff.net.0.proj`;

  /** What is written of the layer as its transpose, or as it is. */
  async function computeOf(lora: string, transposed: boolean): Promise<() => Promise<ArrayBuffer>> {
    const merged = await MergedWeights.read(await readModelIndex(FOLDER), [{ file: lora, scale: 1 }], {});
    const { tensors } = await openWeights(join(FOLDER, 'unet/diffusion_pytorch_model.safetensors'));
    const stored = tensors.find(({ name }) => `unet.${name}` === `${layer}.weight`) as StoredTensor;
    const shape = transposed ? [...stored.shape].reverse() : stored.shape;
    const piece = { ...stored, shape, transposed };
    const [task] = merged.in([
      { tensors: [{ name: 'any', shape, pieces: [piece] }], metadata: {}, output: '' },
    ]);
    const compute = task?.tensors[0]?.pieces[0]?.compute;
    if (!compute) throw new Error('nothing is computed');
    return compute;
  }

  test('that a layout has turned', async () => {
    const lora = folder.write('turned.safetensors', loraOf([layer]));
    const [plain, turned] = await Promise.all([computeOf(lora, false), computeOf(lora, true)]);
    const [values, others] = [new Float32Array(await plain()), new Float32Array(await turned())];
    const [rows = 0, columns = 0] = shapeOf(layer);
    expect(rows).not.toBe(columns);
    expect(others).toEqual(
      values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)] as number),
    );
  });

  test('whose adapter changes meanwhile', async () => {
    const lora = folder.write('changing.safetensors', loraOf([layer]));
    const compute = await computeOf(lora, false);
    writeFileSync(lora, Buffer.concat([readFileSync(lora), Buffer.alloc(8)]));
    await expect(compute()).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_WEIGHTS',
      message: expect.stringContaining('changing.safetensors'),
    });
  });
});

describe('keys and files', () => {
  test('keys that mean nothing are told', async () => {
    const other = folder.write('more.safetensors', { ...KINDS.full(), some_key: scalar(1) });
    const { code, err } = await merge(FOLDER, other, '-o', path('more'));
    expect(code).toBe(0);
    expect(err).toContain('more.safetensors: keys that mean nothing here are left out: ');
    expect(err).toContain('some_key');
  });

  test.each<[string, () => string[], string[]]>([
    [
      'an adapter of another family',
      () => {
        const name = kohya(`unet.${BLOCK}.attn2.to_k`);
        const wide = {
          [`${name}.lora_up.weight`]: values([640, 4], 1),
          [`${name}.lora_down.weight`]: values([4, 2048], 2),
        };
        return [FOLDER, file('full'), folder.write('xl.safetensors', wide)];
      },
      ['xl.safetensors', 'another kind of model', 'looks like one for SDXL', 'INVALID_WEIGHTS'],
    ],
    ['an adapter that is not there', () => [FOLDER, path('none.safetensors')], ['none.safetensors']],
    [
      'a scale that is none',
      () => [FOLDER, `${file('lora')}:1000`],
      ['its scale must be a number from -100 to 100', 'INVALID_ARGUMENT'],
    ],
    ['a model that is not there', () => [path('nothing'), file('lora')], ['nothing', 'does not exist']],
    ['one network', () => [join(FOLDER, 'unet'), file('lora')], ['model_index.json', 'INVALID_CONFIG']],
    ['options of single files', () => [FOLDER, file('lora'), '--use-ema'], ['--use-ema', 'single file']],
  ])('%s writes nothing', async (_, args, pieces) => {
    const output = path('refused');
    const { code, err } = await merge(...args(), '-o', output);
    expect(code).not.toBe(0);
    for (const piece of pieces) expect(err).toContain(piece);
    expect(existsSync(output)).toBe(false);
  });

  test('a model without a text encoder', async () => {
    const model = path('unconditional');
    cpSync(FOLDER, model, { recursive: true });
    const index = join(model, 'model_index.json');
    const { text_encoder: _, ...value } = JSON.parse(readFileSync(index, 'utf8'));
    writeFileSync(index, JSON.stringify(value));
    const { code, err } = await merge(model, file('lora'), '-o', path('refused'));
    expect(code).toBe(1);
    expect(err).toContain('takes no adapters');
    expect(err).toContain('ERR_DEEPCACHE_UNSUPPORTED');
  });

  test('what is there stays without --force, and an adapter is no output', async () => {
    const output = path('there.safetensors');
    writeFileSync(output, 'mine');
    const refused = await merge(FOLDER, file('full'), '-o', output);
    expect(refused.code).not.toBe(0);
    expect(refused.err).toContain('--force replaces it');
    expect(readFileSync(output, 'utf8')).toBe('mine');
    await done(FOLDER, file('full'), '-o', output, '--force');
    expect((await openWeights(output)).tensors.length).toBeGreaterThan(100);
    copyFileSync(file('full'), path('own.safetensors'));
    const own = await merge(FOLDER, path('own.safetensors'), '-o', path('own.safetensors'), '--force');
    expect(own.err).toContain('must be a different path from the adapters');
  });

  test('factors that do not belong together leave no file of weights', async () => {
    const layer = kohya(`unet.${BLOCK}.attn1.to_q`);
    const [rows = 0] = shapeOf(`unet.${BLOCK}.attn1.to_q`);
    const wrong = { ...KINDS.lora(), [`${layer}.lora_up.weight`]: values([rows, RANK + 1], 1) };
    const output = path('apart.safetensors');
    const { code, err } = await merge(FOLDER, folder.write('wrong.safetensors', wrong), '-o', output);
    expect(code).toBe(1);
    expect(err).toContain('wrong.safetensors');
    expect(err).toContain('which does not fit');
    expect(existsSync(output)).toBe(false);
  });
});
