import { copyFileSync, utimesSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  DiffusionPipeline,
  StableDiffusionImg2ImgPipeline,
  type StableDiffusionPipeline,
} from '../../lib/index.js';
import { finish } from '../../lib/native/device.js';
import { distance, FOLDER, latentsOf, loadTiny, rejection, sameBits } from '../pipelines/tiny.js';
import { AdapterFolder, product, scalar, type Tensors, values, type Written } from './adapter-files.js';

// A pipeline's adapters: what they do to its pictures, and that nothing is left of them.

const BLOCK = 'down_blocks.0.attentions.0.transformer_blocks.0';
const LAYER = 'text_model.encoder.layers.0.self_attn';
/** Layers that the test's adapter changes. */
const LAYERS = [
  `unet.${BLOCK}.attn1.to_q`,
  `unet.${BLOCK}.attn1.to_v`,
  `unet.${BLOCK}.attn2.to_k`,
  `unet.${BLOCK}.ff.net.0.proj`,
  'unet.down_blocks.0.resnets.0.conv1',
  'unet.up_blocks.0.upsamplers.0.conv',
  `text_encoder.${LAYER}.q_proj`,
];
const RANK = 3;
const ALPHA = 6;

const folder = new AdapterFolder();
let pipe: StableDiffusionPipeline;
let published: Float32Array;
/** Factors of the adapter's layers. */
const factors = new Map<string, { up: Written; down: Written }>();

beforeAll(async () => {
  pipe = await loadTiny();
  published = await latentsOf(pipe);
  const shapes = new Map<string, readonly number[]>();
  for (const { name, shape } of pipe.unet.weightShapes()) shapes.set(`unet.${name}`, shape);
  for (const { name, shape } of pipe.textEncoder.weightShapes()) shapes.set(`text_encoder.${name}`, shape);
  for (const [i, layer] of LAYERS.entries()) {
    const [rows = 0, ...inner] = shapes.get(`${layer}.weight`) ?? [];
    const up = values([rows, RANK, ...inner.slice(1).map(() => 1)], 2 * i + 1);
    factors.set(layer, { up, down: values([RANK, ...inner], 2 * i + 2) });
  }
  folder.write('kohya.safetensors', kohya());
  folder.write('peft.safetensors', peft());
});
afterEach(() => pipe.unloadLora());
afterAll(async () => {
  await pipe.dispose();
  folder.remove();
});

const kohyaName = (layer: string) =>
  layer
    .replace(/^unet\./, 'lora_unet_')
    .replace(/^text_encoder\./, 'lora_te_')
    .replaceAll('.', '_');

function kohya(): Tensors {
  return Object.fromEntries(
    [...factors].flatMap(([layer, { up, down }]) => [
      [`${kohyaName(layer)}.lora_up.weight`, up],
      [`${kohyaName(layer)}.lora_down.weight`, down],
      [`${kohyaName(layer)}.alpha`, scalar(ALPHA)],
    ]),
  );
}

/** Its files know no alpha: the factor is in the values. */
function peft(): Tensors {
  return Object.fromEntries(
    [...factors].flatMap(([layer, { up, down }]) => [
      [`${layer}.lora_A.weight`, down],
      [`${layer}.lora_B.weight`, { ...up, data: up.data.map((value) => (value * ALPHA) / RANK) }],
    ]),
  );
}

const file = (name: string) => `${folder.path}/${name}.safetensors`;
const readWeight = (name: string) => finish(() => pipe.unet.native.readWeight(name));

describe('loadLora', () => {
  test('changes weights by scale * alpha / rank * up * down', async () => {
    const name = `${BLOCK}.attn1.to_q`;
    const { up, down } = factors.get(`unet.${name}`) as { up: Written; down: Written };
    const before = await readWeight(`${name}.weight`);
    const info = await pipe.loadLora(file('kohya'), { scale: 0.5 });
    expect(info).toMatchObject({ name: 'kohya', scale: 0.5, weights: LAYERS.length, unknownKeys: [] });
    expect(info.hash).toMatch(/^[0-9a-f]{12}$/);
    expect(pipe.loras).toEqual([info]);
    const delta = product(up, down).map((value) => (value * 0.5 * ALPHA) / RANK);
    const after = await readWeight(`${name}.weight`);
    expect(
      distance(
        after,
        before.map((value, i) => value + (delta[i] as number)),
      ),
    ).toBeLessThan(1e-6);
  });

  test('GLoRA multiplies the weight too, in the order of LyCORIS since 1.8 and of that before', async () => {
    const name = `${BLOCK}.attn1.to_q`;
    const before = await readWeight(`${name}.weight`);
    const size = Math.sqrt(before.length);
    const of = (rows: number, columns: number, seed: number) => values([rows, columns], seed);
    const [up, down, outer, inner] = [
      of(size, RANK, 81),
      of(RANK, size, 82),
      of(size, RANK, 83),
      of(RANK, size, 84),
    ];
    const key = (role: string) => `${kohyaName(`unet.${name}`)}.${role}`;
    const write = (file: string, [a1, a2, b1, b2]: readonly Written[]) =>
      folder.write(
        file,
        Object.fromEntries(
          Object.entries({ a1, a2, b1, b2 }).flatMap(([role, tensor]) =>
            tensor ? [[key(`${role}.weight`), tensor]] : [],
          ),
        ),
      );
    const base: Written = { shape: [size, size], data: before };
    const middle: Written = { shape: [size, RANK], data: product(base, { ...outer, shape: [size, RANK] }) };
    const [beside, own] = [product(up, down), product(middle, inner)];
    const wanted = before.map((value, i) => value + (beside[i] ?? 0) + (own[i] ?? 0));
    for (const tensors of [
      [outer, inner, up, down],
      [inner, outer, down, up],
    ]) {
      const info = await pipe.loadLora(write('glora.safetensors', tensors));
      expect(info).toMatchObject({ weights: 1, unknownKeys: [] });
      expect(distance(await readWeight(`${name}.weight`), wanted)).toBeLessThan(1e-5);
      await pipe.unloadLora();
      expect(sameBits(await readWeight(`${name}.weight`), before)).toBe(true);
    }
  });

  test('makes other pictures, and unloadLora the old ones, without a new plan', async () => {
    await pipe.loadLora(file('kohya'));
    expect(distance(await latentsOf(pipe), published)).toBeGreaterThan(0.01);
    const { stats } = await pipe.generate({ prompt: 'a lighthouse', steps: 3, seed: 7, output: 'latent' });
    expect(stats.plansMade).toBe(0);
    await pipe.unloadLora('kohya');
    expect(pipe.loras).toEqual([]);
    expect(sameBits(await latentsOf(pipe), published)).toBe(true);
  });

  test('files of other origins with the same values make the same pictures', async () => {
    await pipe.loadLora(file('kohya'), { scale: 0.7 });
    const expected = await latentsOf(pipe);
    await pipe.unloadLora();
    await pipe.loadLora(file('peft'), { scale: 0.7 });
    expect(distance(await latentsOf(pipe), expected)).toBeLessThan(1e-5);
  });

  test('the cache goes on with them', async () => {
    const options = { cache: { interval: 2 }, steps: 4 };
    const before = await latentsOf(pipe, options);
    await pipe.loadLora(file('kohya'));
    const adapted = await latentsOf(pipe, options);
    expect(distance(adapted, before)).toBeGreaterThan(0.01);
    expect(distance(adapted, await latentsOf(pipe, { steps: 4 }))).toBeGreaterThan(1e-4);
    await pipe.unloadLora();
    expect(sameBits(await latentsOf(pipe, options), before)).toBe(true);
  });

  test('a network may have a scale of its own, and a block', async () => {
    await pipe.loadLora(file('kohya'), { scale: { unet: 0 } });
    const textOnly = await latentsOf(pipe);
    expect(distance(textOnly, published)).toBeGreaterThan(1e-4);
    await pipe.setLoras([{ name: 'kohya', scale: { unet: 0, textEncoder: 0 } }]);
    expect(sameBits(await latentsOf(pipe), published)).toBe(true);
    await pipe.setLoras([{ name: 'kohya', scale: { unet: { down: [0], up: 0 }, textEncoder: 0 } }]);
    expect(sameBits(await latentsOf(pipe), published)).toBe(true);
    await pipe.setLoras([{ name: 'kohya', scale: { unet: { down: [0, 1], up: 1 }, textEncoder: 0 } }]);
    expect(distance(await latentsOf(pipe), published)).toBeGreaterThan(1e-4);
  });

  test('several add up, each against the published weights', async () => {
    await pipe.loadLora(file('kohya'), { name: 'one', scale: 0.3 });
    await pipe.loadLora(file('kohya'), { name: 'two', scale: 0.4 });
    const both = await latentsOf(pipe);
    await pipe.setLoras([{ name: 'two', scale: 0.7 }]);
    expect(pipe.loras.map(({ name, scale }) => ({ name, scale }))).toEqual([
      { name: 'one', scale: 0 },
      { name: 'two', scale: 0.7 },
    ]);
    expect(distance(await latentsOf(pipe), both)).toBeLessThan(1e-5);
    await pipe.setLoras([]);
    expect(sameBits(await latentsOf(pipe), published)).toBe(true);
  });

  test('what is no part of the model is told, and the rest applied', async () => {
    const log: string[] = [];
    await using own = await loadTiny({ log: (message) => log.push(message) });
    const path = folder.write('more.safetensors', {
      ...kohya(),
      some_key: scalar(1),
      'lora_te3_x.lora_up.weight': scalar(1),
      'lora_unet_conv_in.lora_up.weight': scalar(1),
    });
    const info = await own.loadLora(path);
    expect([...info.unknownKeys].sort()).toEqual([
      'lora_te3_x.lora_up.weight',
      'lora_unet_conv_in.lora_up.weight',
      'some_key',
    ]);
    expect(log.at(-1)).toContain('more.safetensors: keys that mean nothing here are left out: some_key');
    await pipe.loadLora(file('kohya'));
    const [one, other] = [await latentsOf(own), await latentsOf(pipe)];
    expect(sameBits(one, other)).toBe(true);
  });

  test('metadata of newer files, and the configuration of a folder, say alpha', async () => {
    const plain = Object.fromEntries(
      [...factors].flatMap(([layer, { up, down }]) => [
        [`${layer}.lora_A.weight`, down],
        [`${layer}.lora_B.weight`, up],
      ]),
    );
    const config = { r: RANK, lora_alpha: ALPHA };
    const lora_adapter_metadata = JSON.stringify(
      Object.fromEntries(
        ['unet', 'text_encoder'].flatMap((part) =>
          Object.entries(config).map(([name, value]) => [`${part}.${name}`, value]),
        ),
      ),
    );
    const path = folder.write('metadata.safetensors', plain, { lora_adapter_metadata });
    await pipe.loadLora(file('kohya'));
    const expected = await latentsOf(pipe);
    await pipe.unloadLora();
    await pipe.loadLora(path);
    expect(distance(await latentsOf(pipe), expected)).toBeLessThan(1e-5);
    await pipe.unloadLora();
    folder.write('adapter_model.safetensors', plain);
    writeFileSync(`${folder.path}/adapter_config.json`, JSON.stringify(config));
    await pipe.loadLora(folder.path, { name: 'folder' });
    expect(distance(await latentsOf(pipe), expected)).toBeLessThan(1e-5);
  });
});

describe('files that cannot be', () => {
  const refused = async (tensors: Tensors, ...pieces: string[]) => {
    const error = await rejection(pipe.loadLora(folder.write('wrong.safetensors', tensors)));
    expect(error.code).toBe('ERR_DEEPCACHE_INVALID_WEIGHTS');
    for (const piece of ['wrong.safetensors', ...pieces]) expect(error.message).toContain(piece);
    expect(pipe.loras).toEqual([]);
    expect(sameBits(await latentsOf(pipe), published)).toBe(true);
  };

  test('of another family', async () => {
    const key = kohyaName(`unet.${BLOCK}.attn2.to_k`);
    await refused(
      {
        ...kohya(),
        [`${key}.lora_up.weight`]: values([640, 4], 1),
        [`${key}.lora_down.weight`]: values([4, 2048], 2),
      },
      `${BLOCK}.attn2.to_k.weight`,
      'down [4, 2048]',
      'another kind of model',
      'SDXL',
    );
    await refused(
      { ...kohya(), 'lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_up.weight': values([8, 2], 1) },
      'second text encoder',
    );
    await refused(
      { 'lora_unet_double_blocks_0_img_mlp_0.lora_up.weight': values([8, 2], 1) },
      'diffusion transformer',
    );
    await refused(
      { 'lora_te3_encoder_block_0_layer_0_SelfAttention_q.lora_up.weight': values([8, 2], 1) },
      'Stable Diffusion 3',
    );
    await refused({ nothing: scalar(1) }, 'no key of an adapter');
  });

  test.each([
    ['OFT', 'lora_unet_down_blocks_0_attentions_0_proj_in.oft_blocks', [4, 4, 4]],
    ['OFT', 'lora_unet_down_blocks_0_attentions_0_proj_in.oft_diag', [4, 4, 4]],
    ['OFT', 'base_model.model.down_blocks.0.attentions.0.proj_in.oft_R.weight', [4, 6]],
    ['BOFT', 'base_model.model.down_blocks.0.attentions.0.proj_in.boft_R', [2, 4, 4, 4]],
    ['VeRA', 'base_model.model.down_blocks.0.attentions.0.proj_in.vera_lambda_d', [4]],
    ['HRA', 'base_model.model.down_blocks.0.attentions.0.proj_in.hra_u', [16, 4]],
  ])('of a kind that is not computed: %s, by %s', async (kind, key, shape) => {
    const path = folder.write('kind.safetensors', { ...kohya(), [key]: values(shape, 1) });
    const error = await rejection(pipe.loadLora(path));
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_UNSUPPORTED' });
    for (const piece of ['kind.safetensors', kind, key]) expect(error.message).toContain(piece);
    expect(sameBits(await latentsOf(pipe), published)).toBe(true);
  });

  test('whose factors do not belong together', async () => {
    const key = kohyaName(`unet.${BLOCK}.attn1.to_q`);
    await refused({ ...kohya(), [`${key}.lora_up.weight`]: values([16, RANK + 1], 1) }, 'which does not fit');
  });

  test('that are none, or not there', async () => {
    writeFileSync(file('text'), 'text');
    for (const path of [file('text'), file('absent'), `${folder.path}/..`]) {
      expect((await rejection(pipe.loadLora(path))).code).toBe('ERR_DEEPCACHE_INVALID_WEIGHTS');
    }
  });

  test('that changed since they were loaded leave all as it was, and can be unloaded', async () => {
    copyFileSync(file('kohya'), file('copy'));
    await pipe.loadLora(file('copy'), { scale: 0.5 });
    const before = await latentsOf(pipe);
    writeFileSync(file('copy'), Buffer.alloc(100));
    const error = await rejection(pipe.setLoras([{ name: 'copy', scale: 1 }]));
    expect(error.code).toBe('ERR_DEEPCACHE_INVALID_WEIGHTS');
    expect(error.message).toContain('copy.safetensors');
    expect(pipe.loras[0]?.scale).toBe(0.5);
    expect(sameBits(await latentsOf(pipe), before)).toBe(true);
    await pipe.unloadLora();
    expect(sameBits(await latentsOf(pipe), published)).toBe(true);
  });

  test.each([
    ['file', () => pipe.loadLora(5 as unknown as string)],
    ['scale', () => pipe.loadLora(file('kohya'), { scale: Number.NaN })],
    ['scale.unett', () => pipe.loadLora(file('kohya'), { scale: { unett: 1 } as object })],
    ['scale.unet.down[1]', () => pipe.loadLora(file('kohya'), { scale: { unet: { down: [1, 1e9] } } })],
    ['name', () => pipe.loadLora(file('kohya'), { name: 'a:b' })],
    ['strength', () => pipe.loadLora(file('kohya'), { strength: 1 } as object)],
    ['loras', () => pipe.setLoras('kohya' as never)],
    ['loras[0].scale', () => pipe.setLoras([{ name: 'kohya', scale: '1' as never }])],
    ['loras', () => pipe.setLoras([{ name: 'nobody' }])],
    ['name', () => pipe.unloadLora('nobody')],
  ])('%s', async (name, call) => {
    const error = await rejection(call());
    expect(error.code).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
    expect(error.message.startsWith(`${name} `)).toBe(true);
  });

  test('a name that is taken', async () => {
    await pipe.loadLora(file('kohya'));
    const error = await rejection(pipe.loadLora(file('peft'), { name: 'kohya' }));
    expect(error.message).toContain('is taken');
  });
});

describe('who sees what', () => {
  test('a call sees what was set before it, also when it waited', async () => {
    await pipe.loadLora(file('kohya'), { scale: 0 });
    const calls = [
      latentsOf(pipe),
      latentsOf(pipe),
      pipe.setLoras([{ name: 'kohya' }]),
      latentsOf(pipe),
      pipe.setLoras([]),
      latentsOf(pipe),
    ] as const;
    const [first, second, , adapted, , last] = await Promise.all(calls);
    for (const plain of [first, second, last]) expect(sameBits(plain, published)).toBe(true);
    expect(distance(adapted, published)).toBeGreaterThan(0.01);
  });

  test('pipelines over the same models share them, and no change comes into their runs', async () => {
    await using other = StableDiffusionImg2ImgPipeline.from(pipe);
    const image = { data: new Uint8Array(64 * 64 * 3).fill(90), width: 64, height: 64, channels: 3 as const };
    const run = { prompt: 'a', image, steps: 6, seed: 1, output: 'latent' } as const;
    const plain = (await other.generate(run)).tensor?.data as Float32Array;
    let change: Promise<unknown> | undefined;
    const running = await other.generate({
      ...run,
      onStep: () => {
        change ??= pipe.loadLora(file('kohya'));
      },
    });
    expect(sameBits(running.tensor?.data as Float32Array, plain)).toBe(true);
    await change;
    expect(other.loras).toEqual(pipe.loras);
    const adapted = (await other.generate(run)).tensor?.data as Float32Array;
    expect(distance(adapted, plain)).toBeGreaterThan(1e-3);
    await other.unloadLora('kohya');
    expect(pipe.loras).toEqual([]);
    expect(sameBits(await latentsOf(pipe), published)).toBe(true);
  });

  test('a text encoder that is read for each use has them', async () => {
    const loading = DiffusionPipeline.fromPretrained(FOLDER, {
      device: 'cpu',
      log: () => {},
      unloadTextEncoder: true,
    });
    await using own = (await loading) as StableDiffusionPipeline;
    await own.loadLora(file('kohya'));
    await pipe.loadLora(file('kohya'));
    expect(own.textEncoder.weightBytes).toBe(0);
    expect(sameBits(await latentsOf(own), await latentsOf(pipe))).toBe(true);
    await own.unloadLora();
    expect(sameBits(await latentsOf(own), published)).toBe(true);
  });

  test('a text encoder that is read again refuses the file of an adapter that was replaced', async () => {
    await using own = await loadTiny({ unloadTextEncoder: true });
    folder.write('replaced.safetensors', kohya());
    copyFileSync(file('kohya'), file('stays'));
    await own.loadLora(file('replaced'));
    await own.loadLora(file('stays'), { scale: 0.5 });
    // Of the same size, and tensors in the same places.
    const other = Object.entries(kohya()).map(([name, { shape, data }]) => {
      return [name, { shape, data: data.map((value) => 2 * value) }] as const;
    });
    // Clocks of file systems may be too coarse for what is written so soon.
    utimesSync(folder.write('replaced.safetensors', Object.fromEntries(other)), 1, 1);
    const error = await rejection(latentsOf(own));
    expect(error.code).toBe('ERR_DEEPCACHE_INVALID_WEIGHTS');
    expect(error.message).toContain('replaced.safetensors');
    // It goes all the same, and the rest is as if it had never been there.
    await own.unloadLora('replaced');
    await pipe.loadLora(file('stays'), { scale: 0.5 });
    expect(sameBits(await latentsOf(own), await latentsOf(pipe))).toBe(true);
  });

  test('a change that is aborted while it waits does nothing', async () => {
    const controller = new AbortController();
    const running = latentsOf(pipe);
    const change = rejection(pipe.loadLora(file('kohya'), { signal: controller.signal }));
    controller.abort(new Error('enough'));
    expect((await change).message).toBe('enough');
    await running;
    expect(pipe.loras).toEqual([]);
  });

  test('settings name those that count', async () => {
    const settings = async () =>
      (await pipe.generate({ prompt: 'a', steps: 1, seed: 1 })).settings[0] as string;
    expect(await settings()).not.toContain('Lora');
    await pipe.loadLora(file('kohya'), { scale: 0.5 });
    const { hash } = await pipe.loadLora(file('peft'), { scale: 0 });
    const text = await settings();
    expect(text).toContain('Loras: "kohya: 0.5"');
    expect(text).toMatch(/Lora hashes: "kohya: [0-9a-f]{12}"/);
    expect(text).not.toContain(hash);
  });
});

describe('loraSyntax', () => {
  test('counts for the run, and then as before', async () => {
    await pipe.loadLora(file('kohya'), { scale: 0.5 });
    const half = await latentsOf(pipe);
    await pipe.setLoras([]);
    const tagged = await latentsOf(pipe, { prompt: 'a lighthouse<lora:kohya:0.5>', loraSyntax: true });
    expect(sameBits(tagged, half)).toBe(true);
    expect(sameBits(await latentsOf(pipe), published)).toBe(true);
    expect(pipe.loras[0]?.scale).toBe(0);
    const { settings } = await pipe.generate({
      prompt: 'a lighthouse<lora:kohya:0.5>',
      loraSyntax: true,
      steps: 1,
    });
    expect(settings[0]).toContain('Loras: "kohya: 0.5"');
    // Without the option it is text.
    expect(sameBits(await latentsOf(pipe, { prompt: 'a lighthouse<lora:kohya:0.5>' }), published)).toBe(
      false,
    );
  });

  test.each([
    ['a <lora:nobody:1>', 'nobody'],
    ['a <lora:kohya:much>', '<lora:kohya:0.8>'.slice(0, 5)],
    [['a <lora:kohya:1>', 'b'], 'names other adapters'],
    ['a <lora:kohya:1> <lora:kohya:0.5>', 'twice'],
  ])('%p', async (prompt, piece) => {
    await pipe.loadLora(file('kohya'), { scale: 0 });
    const error = await rejection(pipe.generate({ prompt, loraSyntax: true, steps: 1 }));
    expect(error.code).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
    expect(error.message).toContain(piece);
    expect(sameBits(await latentsOf(pipe), published)).toBe(true);
  });
});
