import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FolderSource } from '../../lib/models/folder-source.js';
import { readMotionAdapter, withMotion } from '../../lib/models/motion-adapter.js';
import { UNetMotionModel } from '../../lib/models/unet-motion.js';
import { native } from '../../lib/native/binding.js';
import { backend, FOLDER, noise } from '../native-addon/tiny-model.js';
import { writeSafetensors } from '../safetensors-file.js';

const FRAMES = 3;
const MOTION = {
  _class_name: 'UNetMotionModel',
  motion_num_attention_heads: 8,
  motion_max_seq_length: 4,
  use_motion_mid_block: true,
};

let folder: string;
let unet: UNetMotionModel;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-motion-'));
  unet = await load(adapterFile('v2.safetensors', original, 0.2));
});
afterAll(() => {
  unet.native.dispose();
  rmSync(folder, { recursive: true });
});

const tinyConfig = JSON.parse(readFileSync(join(FOLDER, 'unet/config.json'), 'utf8'));
const plain = () => new FolderSource(FOLDER).network('unet');

async function load(file: string): Promise<UNetMotionModel> {
  return UNetMotionModel.load(backend, await withMotion(await plain(), await readMotionAdapter(file)));
}

/** The name that the authors' code gives to a tensor. */
function original(name: string): string {
  return name
    .replace(/(motion_modules\.\d+\.)/, '$1temporal_transformer.')
    .replace('.pos_embed.', '.attention_blocks.0.pos_encoder.')
    .replace('.attn1.', '.attention_blocks.0.')
    .replace('.attn2.', '.attention_blocks.1.')
    .replace('.norm1.', '.norms.0.')
    .replace('.norm2.', '.norms.1.')
    .replace('.norm3.', '.ff_norm.');
}

/** Seeded motion modules for the tiny U-Net; `scale`: of what they add. */
function adapterFile(file: string, naming: (name: string) => string, scale: number, mid = true): string {
  const config = { ...tinyConfig, ...MOTION, use_motion_mid_block: mid };
  const types = (list: string[]) => list.map((type) => type.replace(/2D$/, 'Motion'));
  config.down_block_types = types(config.down_block_types);
  config.up_block_types = types(config.up_block_types);
  const wanted = native().weightShapes('unet', JSON.stringify(config));
  const tensors = wanted
    .filter(({ name }) => name.includes('motion_modules'))
    .map(({ name, shape }) => {
      const data = noise(shape.reduce((product, size) => product * size, 1));
      const factor = name.includes('proj_out') ? scale : 0.2;
      const stored = name.endsWith('.pe') ? [1, ...shape] : shape;
      return [naming(name), { shape: [...stored], data: data.map((value) => value * factor) }] as const;
    });
  const path = join(folder, file);
  writeSafetensors(path, Object.fromEntries(tensors));
  return path;
}

function request(frames = FRAMES) {
  return {
    sample: noise(frames * 4 * 64),
    batch: frames,
    frames,
    height: 8,
    width: 8,
    context: noise(7 * 32),
    contextLength: 7,
    timesteps: [501],
  };
}

const forward = async (model: UNetMotionModel, more: object = {}) =>
  (await model.native.forward({ ...request(), ...more }).promise).out;

describe('a U-Net with motion modules', () => {
  test('is the same from names of the original code and of diffusers', async () => {
    const other = await load(adapterFile('names.safetensors', (name) => name, 0.2));
    expect(await forward(other)).toEqual(await forward(unet));
    other.native.dispose();
  });

  test('is the image model, frame by frame, where the modules add nothing', async () => {
    const idle = await load(adapterFile('idle.safetensors', original, 0));
    const all = await forward(idle);
    const { sample } = request();
    const each = all.length / FRAMES;
    const one = { frames: 1, batch: 1, sample: sample.slice(each, 2 * each) };
    const alone = await forward(idle, one);
    alone.forEach((value, i) => {
      expect(value).toBeCloseTo(all[each + i] as number, 4);
    });
    expect(await forward(unet)).not.toEqual(all);
    idle.native.dispose();
  });

  test.each([0, 3, 11])('retrieves branch %i as a full pass has it', async (branch) => {
    const full = await forward(unet, { features: [branch] });
    expect(await forward(unet, { retrieve: branch })).toEqual(full);
  });

  test('names its modules in what a retrieve step runs, and counts them', async () => {
    const [first] = await unet.branches({ height: 8, width: 8, frames: FRAMES, batch: FRAMES });
    expect(first?.feature).toBe('up_blocks.3.motion_modules.1');
    expect(first?.runs).toContain('up_blocks.3.motion_modules.2');
  });

  test('may have none in the middle', async () => {
    const other = await load(adapterFile('v1.safetensors', original, 0.2, false));
    expect(other.config.use_motion_mid_block).toBe(false);
    expect(await forward(other)).not.toEqual(await forward(unet));
    other.native.dispose();
  });

  test('refuses more frames than its tables have, and other files', async () => {
    await expect(async () => unet.native.forward(request(5)).promise).rejects.toThrow(
      'a video of 5 frames is longer than the motion modules take (4)',
    );
    const other = join(FOLDER, 'vae/diffusion_pytorch_model.safetensors');
    await expect(readMotionAdapter(other)).rejects.toThrow(`${other}`);
  });
});
