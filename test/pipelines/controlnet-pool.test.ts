import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { StableDiffusionPipeline } from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { AdapterFolder } from '../adapters/adapter-files.js';
import { json } from './made-models.js';
import { distance, FOLDER, latentsOf, loadTiny, rejection, SIZE, sameBits } from './tiny.js';

// global_pool_conditions and controlnet_conditioning_channel_order, by networks whose outputs are known: the convolutions
// behind them have no weights but biases, one for each channel. Their means over all pixels are these, too; that means are
// taken is test/native's to see.

const files = new AdapterFolder();
/** Outputs: one for each skip, and the mid block's. */
const OUTPUTS = 13;
/** How much an output counts in guess mode: torch.logspace(-1, 0, OUTPUTS). */
const depth = (output: number) => 10 ** (-1 + output / (OUTPUTS - 1));

/** A ControlNet; of `outputs` each gives a value times those of its channels, wherever it looks. */
function write(name: string, fields: object, outputs?: (output: number) => number): string {
  const { up_block_types: _, out_channels: __, ...unet } = json(join(FOLDER, 'unet/config.json'));
  const config = JSON.stringify({
    ...unet,
    _class_name: 'ControlNetModel',
    conditioning_embedding_out_channels: [4, 8, 12, 16],
    ...fields,
  });
  const tensors: Record<string, { shape: number[]; data: Float32Array }> = {};
  for (const { name: key, shape } of native().weightShapes('unet', config)) {
    const data = native().synthesize(key, [...shape]);
    const [, down, what] = /^controlnet_(?:down_blocks\.(\d+)|mid_block)\.(weight|bias)$/.exec(key) ?? [];
    const factor = outputs?.(down === undefined ? OUTPUTS - 1 : Number(down));
    const values = what === undefined || factor === undefined ? data : data.map((value) => factor * value);
    tensors[key] = { shape: [...shape], data: what === 'weight' && outputs ? data.map(() => 0) : values };
  }
  const folder = join(files.path, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'config.json'), config);
  files.write(join(name, 'diffusion_pytorch_model.safetensors'), tensors);
  return folder;
}

const controlImage = {
  data: new Float32Array(3 * SIZE * SIZE).map((_, i) => (i % 7) / 7),
  shape: [1, 3, SIZE, SIZE],
};
let pipe: StableDiffusionPipeline;
let plain: string;
let flat: string;
let deep: string;
let pooled: string;
let pooledFlat: string;
let bgr: string;
beforeAll(async () => {
  plain = write('plain', {});
  flat = write('flat', {}, () => 3);
  // What guess mode makes of it is what it makes of `flat` without minding the depth.
  deep = write('deep', {}, (output) => 3 / depth(output));
  pooled = write('pooled', { global_pool_conditions: true });
  pooledFlat = write('pooled-flat', { global_pool_conditions: true }, () => 3);
  bgr = write('bgr', { controlnet_conditioning_channel_order: 'bgr' });
  pipe = await loadTiny();
});
afterAll(async () => {
  await pipe.dispose();
  files.remove();
});

async function latents(nets: readonly string[], options: object = {}): Promise<Float32Array> {
  for (const [i, net] of nets.entries()) await pipe.loadControlNet(net, { name: `${basename(net)} ${i}` });
  try {
    const image = nets.length > 1 ? nets.map(() => controlImage) : controlImage;
    return await latentsOf(pipe, { controlImage: image, ...options });
  } finally {
    await pipe.unloadControlNet();
  }
}

const CACHES: [string, object][] = [
  ['without a cache', {}],
  ['held', { cache: { interval: 2, branch: 1 }, controlCache: 'hold' }],
  ['live', { cache: { interval: 2, branch: 1 }, controlCache: 'live' }],
];

describe.each(CACHES)('a network of means, %s', (_, cache) => {
  const run = { steps: 4, ...cache };

  test('is seen by the conditional half alone, with guidance, and all of its outputs count alike', async () => {
    const own = await latents([pooledFlat], run);
    expect(distance(own, await latents([deep], { ...run, guessMode: true }))).toBeLessThan(1e-5);
    expect(distance(own, await latents([flat], run))).toBeGreaterThan(1e-3);
    expect(sameBits(await latents([pooledFlat], { ...run, guessMode: true }), own)).toBe(true);
  });

  test('is one like others without guidance', async () => {
    const unguided = { ...run, guidanceScale: 1 };
    const own = await latents([pooledFlat], unguided);
    expect(distance(own, await latents([flat], unguided))).toBeLessThan(1e-5);
    expect(distance(own, await latents([deep], unguided))).toBeGreaterThan(1e-3);
  });

  test('gives other pictures than one that is not', async () => {
    const guess = { ...run, guidanceScale: 1 };
    expect(distance(await latents([pooled], guess), await latents([plain], guess))).toBeGreaterThan(1e-4);
  });

  test('before others makes all of them guess, behind others none', async () => {
    const first = await latents([pooledFlat, plain], run);
    expect(distance(first, await latents([deep, plain], { ...run, guessMode: true }))).toBeLessThan(1e-5);
    const last = await latents([plain, pooledFlat], run);
    expect(distance(last, await latents([plain, flat], run))).toBeLessThan(1e-5);
    expect(distance(last, first)).toBeGreaterThan(1e-3);
  });
});

describe.each(CACHES)('a network that sees blue first, %s', (_, cache) => {
  const run = { steps: 4, ...cache };
  const turned = {
    ...controlImage,
    data: new Float32Array(
      [2, 1, 0].flatMap((c) => [...controlImage.data.subarray(c * SIZE ** 2, (c + 1) * SIZE ** 2)]),
    ),
  };

  test('makes of a picture what another makes of it turned', async () => {
    const own = await latents([bgr], run);
    expect(sameBits(own, await latents([plain], { ...run, controlImage: turned }))).toBe(true);
    expect(sameBits(own, await latents([plain], run))).toBe(false);
  });

  test('does so beside others', async () => {
    const own = await latents([plain, bgr], run);
    expect(
      sameBits(own, await latents([plain, plain], { ...run, controlImage: [controlImage, turned] })),
    ).toBe(true);
    expect(sameBits(own, await latents([plain, plain], run))).toBe(false);
  });
});

test('the picture that was given stays as it is', async () => {
  const before = controlImage.data.slice();
  await latents([bgr]);
  expect(sameBits(controlImage.data, before)).toBe(true);
});

test('a cache of which every call is full changes nothing', async () => {
  const own = await latents([pooled]);
  for (const controlCache of ['hold', 'live'])
    expect(sameBits(await latents([pooled], { cache: { interval: 1 }, controlCache }), own)).toBe(true);
});

test('a single file is such a network where its name says so, as the published one, and the log says it', async () => {
  const weights = readFileSync(join(pooled, 'diffusion_pytorch_model.safetensors'));
  const named = (name: string) => {
    const path = join(files.path, name);
    writeFileSync(path, weights);
    return path;
  };
  const other = named('control_v11p_sd15_lineart.safetensors');
  expect(sameBits(await latents([other]), await latents([plain]))).toBe(true);
  const shuffle = named('control_v11e_sd15_shuffle.safetensors');
  const lines: string[] = [];
  const logged = await loadTiny({ controlNet: shuffle, log: (line) => lines.push(line) });
  expect(sameBits(await latentsOf(logged, { controlImage }), await latents([pooled]))).toBe(true);
  expect(lines.join()).toMatch(/shuffle.*global_pool_conditions/);
  await logged.dispose();
});

test('other orders are refused', async () => {
  const config = join(bgr, 'config.json');
  const text = readFileSync(config, 'utf8');
  writeFileSync(config, text.replace('"bgr"', '"grb"'));
  const { message } = await rejection(pipe.loadControlNet(bgr));
  writeFileSync(config, text);
  expect(message).toMatch(/bgr.*"controlnet_conditioning_channel_order": "grb" is not supported/);
});

test('perturbed attention without guidance is refused, where nothing is unconditional', async () => {
  const { message } = await rejection(latents([pooled], { guidanceScale: 1, pagScale: 2 }));
  expect(message).toMatch(/global_pool_conditions.*pagScale/);
});
