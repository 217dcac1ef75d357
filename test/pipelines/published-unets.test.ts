import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { inspectModel } from '../../lib/cli/inspection/model.js';
import { DiffusionPipeline, type StableDiffusionPipeline } from '../../lib/index.js';
import { runCli } from '../cli-run.js';
import { json, type MadeModel, writeJson, writePart, writeSd, writeXl } from './made-models.js';
import { distance, FOLDER, latentsOf, numbersOf, rejection, SIZE, sameBits } from './tiny.js';

// Whole pictures from folders of published models whose U-Nets are pruned or otherwise special: as they are configured,
// with few channels.

const XL_DOWN = ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'];
const XL_UP = ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'];

interface Published {
  readonly base: 'sd' | 'xl';
  readonly model: MadeModel;
  /** Of the U-Net. */
  readonly branches: number;
  /** What the deepest branch keeps. */
  readonly deepest: string;
  readonly vae?: object;
}

const MODELS: Readonly<Record<string, Published>> = {
  'SSD-1B': {
    base: 'xl',
    model: {
      unet: {
        mid_block_type: 'UNetMidBlock2D',
        transformer_layers_per_block: [0, [2, 2], [4, 4]],
        reverse_transformer_layers_per_block: [[4, 4, 5], [2, 1, 1], 0],
      },
    },
    branches: 9,
    deepest: 'mid_block',
  },
  'Segmind Vega': {
    base: 'xl',
    model: {
      unet: {
        mid_block_type: 'UNetMidBlock2D',
        transformer_layers_per_block: [0, [1, 1], [1, 1]],
        reverse_transformer_layers_per_block: [[2, 2, 1], [1, 1, 1], 0],
      },
    },
    branches: 9,
    deepest: 'mid_block',
  },
  KOALA: {
    base: 'xl',
    model: { unet: { mid_block_type: null, layers_per_block: 1, transformer_layers_per_block: [0, 2, 3] } },
    branches: 6,
    deepest: 'down_blocks.2.attentions.0',
  },
  'BK-SDM base': { base: 'sd', model: { unet: { layers_per_block: 1 } }, branches: 8, deepest: 'mid_block' },
  'BK-SDM small': {
    base: 'sd',
    model: { unet: { layers_per_block: 1, mid_block_type: null } },
    branches: 8,
    deepest: 'down_blocks.3.resnets.0',
  },
  'BK-SDM tiny, tiny-sd': {
    base: 'sd',
    model: {
      unet: {
        layers_per_block: 1,
        mid_block_type: null,
        block_out_channels: [16, 32, 40],
        down_block_types: Array(3).fill('CrossAttnDownBlock2D'),
        up_block_types: Array(3).fill('CrossAttnUpBlock2D'),
      },
    },
    branches: 6,
    deepest: 'down_blocks.2.attentions.0',
  },
  'Playground v2.5': {
    base: 'xl',
    model: {
      unet: { down_block_types: XL_DOWN, up_block_types: XL_UP },
      index: { scheduler: ['diffusers', 'EDMDPMSolverMultistepScheduler'] },
      scheduler: {
        _class_name: 'EDMDPMSolverMultistepScheduler',
        algorithm_type: 'dpmsolver++',
        prediction_type: 'epsilon',
        sigma_data: 0.5,
        sigma_max: 80,
        sigma_min: 0.002,
      },
    },
    vae: {
      latents_mean: [-1.6574, 1.886, -1.383, 2.5155],
      latents_std: [8.4927, 5.9022, 6.5498, 5.2299],
      scaling_factor: 0.5,
    },
    branches: 9,
    deepest: 'mid_block',
  },
};

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'deepcache-published-'));
});
afterAll(() => rmSync(root, { recursive: true }));

describe.each(Object.entries(MODELS))('%s', (name, { base, model, branches, deepest, vae }) => {
  let pipe: StableDiffusionPipeline;
  let folder: string;
  const RUN = { prompt: 'a lighthouse', steps: 10, seed: 7, width: SIZE, height: SIZE } as const;
  beforeAll(async () => {
    folder = await (base === 'xl' ? writeXl : writeSd)(join(root, name), model);
    if (vae) await writePart(folder, 'vae', 'vae', { ...json(join(folder, 'vae/config.json')), ...vae });
    pipe = (await DiffusionPipeline.fromPretrained(folder, { device: 'cpu' })) as StableDiffusionPipeline;
  });
  afterAll(() => pipe.dispose());

  test('is inspected and counted without a problem', async () => {
    expect((await inspectModel(folder)).problems).toEqual([]);
    const list = await pipe.unet.branches();
    expect(list).toHaveLength(branches);
    expect(list.at(-1)?.feature).toBe(deepest);
    const { code, out } = await runCli(['macs', folder, '--cache', 'interval=3']);
    expect({ code, branch: out.includes(`${branches - 1}`) }).toEqual({ code: 0, branch: true });
  });

  test('makes whole pictures with every cache', async () => {
    const uncached = await pipe.generate({ ...RUN, output: 'float32' });
    const plain = numbersOf(uncached);
    const plan = 'FRP'.repeat(4).slice(0, uncached.stats.calls);
    expect(plain).toHaveLength(3 * SIZE * SIZE);
    expect(plain.every(Number.isFinite)).toBe(true);
    for (const cache of ['fast', 'balanced', { interval: 2 }, { plan }] as const) {
      const { tensor, stats } = await pipe.generate({ ...RUN, output: 'float32', cache });
      expect(stats.calls - stats.fullCalls).toBeGreaterThan(0);
      expect(tensor.data.every(Number.isFinite)).toBe(true);
      expect(distance(tensor.data, plain)).toBeGreaterThan(1e-6);
    }
    const { images } = await pipe.generate({ ...RUN, cache: 'balanced' });
    expect(images[0]).toMatchObject({ width: SIZE, height: SIZE });
  });

  test('has branches that change nothing where every call is full, and something where not', async () => {
    const usual = await latentsOf(pipe, RUN);
    for (let branch = 0; branch < branches; branch++) {
      const cached = (interval: number) => latentsOf(pipe, { ...RUN, cache: { interval, branch } });
      expect(sameBits(await cached(1), usual)).toBe(true);
      expect(sameBits(await cached(2), usual)).toBe(false);
    }
  });
});

test('Marigold, which makes depths of pictures, is refused by name, and its U-Net where it does not belong', async () => {
  const folder = await writeSd(join(root, 'marigold'), {
    index: { _class_name: 'MarigoldDepthPipeline' },
    unet: { in_channels: 8 },
  });
  expect((await rejection(DiffusionPipeline.fromPretrained(folder, { device: 'cpu' }))).message).toMatch(
    /is a MarigoldDepthPipeline, which this version does not have/,
  );
  writeJson(join(folder, 'model_index.json'), json(`${FOLDER}/model_index.json`));
  expect((await rejection(DiffusionPipeline.fromPretrained(folder, { device: 'cpu' }))).message).toMatch(
    /takes 8 channels, of which this pipeline has 4, the latents/,
  );
});
