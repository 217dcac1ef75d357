import { expect, test } from '@jest/globals';
import { largeUnet } from '../../bench/large-inputs.js';
import { native } from '../../lib/native/binding.js';
import type { Job, ModelKind } from '../../lib/native/types.js';
import { codeOf, loadTextEncoder, loadUnet, loadVae, source } from './tiny-model.js';

const { planTextEncoder, planUnet, planVae, SafetensorsFile, weightShapes } = native();
const SIZE = { batch: 2, height: 8, width: 8, contextLength: 77 };

test.each<Exclude<ModelKind, 'image_encoder' | 'upscaler' | 't2i_adapter'>>(['unet', 'text_encoder', 'vae'])(
  'weightShapes of the %s are those of the published file',
  async (kind) => {
    const { config, files } = source(kind);
    const file = new SafetensorsFile(files[0] as string);
    const published = file.tensors
      // Old files of transformers hold a buffer that is no parameter.
      .filter(({ name }) => !name.endsWith('position_ids'))
      .map(({ name, shape }) => `${name} ${shape}`);
    const shapes = weightShapes(kind, config).map(({ name, shape }) => `${name} ${shape}`);
    expect(shapes.sort()).toEqual(published.sort());
  },
);

test('parameters and bytes are those of the loaded models', async () => {
  const count = async (kind: Exclude<ModelKind, 'image_encoder' | 'upscaler' | 't2i_adapter'>) => {
    const tensors = weightShapes(kind, source(kind).config);
    return tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  };
  const unet = await loadUnet();
  const unetPlan = await planUnet(source('unet').config, SIZE).promise;
  expect(unetPlan.parameters).toBe(await count('unet'));
  expect(unetPlan.weightBytes).toBe(unet.memory().weights);
  const vae = await loadVae();
  const vaePlan = await planVae(source('vae').config, { batch: 1, height: 8, width: 8 }).promise;
  expect(vaePlan.parameters).toBe(await count('vae'));
  expect(vaePlan.weightBytes).toBe(vae.memory().weights);
  await vae.decode({ data: new Float32Array(256), batch: 1, height: 8, width: 8 }).promise;
  expect(vae.memory().peakArena).toBe(vaePlan.decode.arenaBytes);
  for (const model of [unet, vae, await loadTextEncoder()]) model.dispose();
});

test('a U-Net has a plan for every branch, the deeper the dearer', async () => {
  const { full, branches } = await planUnet(source('unet').config, SIZE).promise;
  expect(branches.map(({ branch }) => branch)).toEqual([...Array(12).keys()]);
  for (const kind of ['repo', 'complete', 'executed', 'ops'] as const) {
    const costs = [...branches.map((branch) => branch[kind]), full[kind]];
    expect(costs).toEqual([...costs].sort((a, b) => a - b));
    expect(costs[0]).toBeGreaterThan(0);
  }
  const features = [0, 2, 11].map((branch) => branches[branch]?.feature);
  expect(features).toEqual(['up_blocks.3.attentions.1', 'up_blocks.2', 'mid_block']);
  expect(branches[0]?.featureShape).toEqual([2, 16, 8, 8]);
  expect(branches[0]?.runs).toContain('up_blocks.3.resnets.2');
  expect(branches[0]?.runs).not.toContain('up_blocks.3.resnets.1');
});

test('the full pass can be planned alone', async () => {
  const { branches, ...whole } = await planUnet(source('unet').config, SIZE).promise;
  expect(branches).toHaveLength(12);
  expect(await planUnet(source('unet').config, SIZE, false).promise).toEqual({ ...whole, branches: [] });
});

test('cost grows with the batch', async () => {
  const { config } = source('unet');
  const unet = async (batch: number) => (await planUnet(config, { ...SIZE, batch }).promise).full;
  expect((await unet(4)).complete).toBe(4 * (await unet(1)).complete);
  expect(planTextEncoder(source('text_encoder').config, { batch: 2, length: 77 }).complete).toBe(
    2 * planTextEncoder(source('text_encoder').config, { batch: 1, length: 77 }).complete,
  );
  const vae = (batch: number) => planVae(source('vae').config, { batch, height: 8, width: 8 }).promise;
  expect((await vae(3)).encode?.executed).toBe(3 * ((await vae(1)).encode?.executed as number));
});

test('planning the largest configuration is cancelled', async () => {
  const size = { batch: 2, height: 1024, width: 1024, contextLength: 77 };
  expect((await planUnet(largeUnet(), size).promise).branches).toHaveLength(120);
  const job = planUnet(largeUnet(), size);
  job.cancel();
  expect(await codeOf(job.promise)).toBe('ERR_DEEPCACHE_ABORTED');
});

test.each([
  [
    'a model of another kind',
    () => weightShapes('lora' as ModelKind, '{}'),
    'ERR_DEEPCACHE_INVALID_ARGUMENT',
  ],
  ['no configuration', () => weightShapes('unet', undefined as never), 'ERR_DEEPCACHE_INVALID_ARGUMENT'],
  ['a configuration that is none', () => weightShapes('vae', '[]'), 'ERR_DEEPCACHE_INVALID_CONFIG'],
  ['no size', () => planUnet(source('unet').config, undefined as never), 'ERR_DEEPCACHE_INVALID_ARGUMENT'],
  [
    'a text too long',
    () => planTextEncoder(source('text_encoder').config, { batch: 1, length: 78 }),
    'ERR_DEEPCACHE_INVALID_ARGUMENT',
  ],
  [
    'a size whose rows wrap in 32 bits',
    () => planUnet(source('unet').config, { ...SIZE, batch: 1024, height: 8192, width: 8192 }),
    'ERR_DEEPCACHE_INVALID_ARGUMENT',
  ],
  [
    'branches that are no boolean',
    () => planUnet(source('unet').config, SIZE, 1 as never),
    'ERR_DEEPCACHE_INVALID_ARGUMENT',
  ],
  [
    'a configuration of several MB',
    () => weightShapes('unet', source('unet').config.padEnd(5 << 20)),
    'ERR_DEEPCACHE_INVALID_ARGUMENT',
  ],
  [
    'channels that wrap in 32 bits',
    () =>
      weightShapes(
        'unet',
        JSON.stringify({
          ch: 2 ** 20,
          ch_mult: [4096],
          attn_resolutions: [],
          image_size: 8,
          num_res_blocks: 1,
        }),
      ),
    'ERR_DEEPCACHE_INVALID_CONFIG',
  ],
  [
    'more layers than any model has',
    () =>
      weightShapes(
        'unet',
        source('unet').config.replace(/"layers_per_block": \d+/, '"layers_per_block": 256'),
      ),
    'ERR_DEEPCACHE_INVALID_CONFIG',
  ],
  [
    'a size of 0',
    () => planVae(source('vae').config, { batch: 1, height: 0, width: 8 }),
    'ERR_DEEPCACHE_INVALID_ARGUMENT',
  ],
])('%s', async (_, call, code) => {
  expect(await codeOf(async () => (call() as Partial<Job<unknown>>).promise)).toBe(code);
});
