import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FolderSource } from '../../lib/models/folder-source.js';
import { readMotionAdapter, withMotion } from '../../lib/models/motion-adapter.js';
import { UNetMotionModel } from '../../lib/models/unet-motion.js';
import type { RunOptions } from '../../lib/pipelines/inputs/options.js';
import { planRun } from '../../lib/pipelines/loop/denoise.js';
import { DDIMScheduler } from '../../lib/schedulers/index.js';
import { concat } from '../../lib/tensor.js';
import { swapped } from '../conformance/checks/motion.js';
import { backend, FOLDER, noise } from '../native-addon/tiny-model.js';
import { adapterFile, original } from './tiny-motion.js';

const FRAMES = 3;

let folder: string;
let unet: UNetMotionModel;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-motion-'));
  unet = await load(adapterFile(folder, 'v2.safetensors', original, 0.2));
});
afterAll(() => {
  unet.native.dispose();
  rmSync(folder, { recursive: true });
});

const plain = () => new FolderSource(FOLDER).network('unet');

async function load(file: string): Promise<UNetMotionModel> {
  return UNetMotionModel.load(backend, await withMotion(await plain(), await readMotionAdapter(file)));
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
    const other = await load(adapterFile(folder, 'names.safetensors', (name) => name, 0.2));
    expect(await forward(other)).toEqual(await forward(unet));
    other.native.dispose();
  });

  test('is the image model, frame by frame, where the modules add nothing', async () => {
    const idle = await load(adapterFile(folder, 'idle.safetensors', original, 0));
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
    const other = await load(adapterFile(folder, 'v1.safetensors', original, 0.2, false));
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

  test.each([
    [{ motion_mid_block_layers_per_block: 2 }, '"motion_mid_block_layers_per_block" must be 1, got [2]'],
    [{ conv_in_channels: 9 }, 'are not supported'],
  ])('refuses folders of adapters with %j', async (fields, message) => {
    const place = join(folder, `folder${Object.keys(fields)[0]}`);
    mkdirSync(place);
    cpSync(join(folder, 'v2.safetensors'), join(place, 'diffusion_pytorch_model.safetensors'));
    const known = { _class_name: 'MotionAdapter', motion_max_seq_length: 4 };
    writeFileSync(join(place, 'config.json'), JSON.stringify({ ...known, ...fields }));
    await expect(readMotionAdapter(place)).rejects.toThrow(message);
  });

  test('draws the noise of a video as a whole, channels before frames', async () => {
    const idle = await load(adapterFile(folder, 'idle.safetensors', original, 0));
    const scheduler = new DDIMScheduler();
    const facts = { levels: 4, layersPerBlock: 2 };
    const { table } = planRun(scheduler, facts, { steps: 2, eta: 1, span: {} } as RunOptions, () => {});
    const { context, contextLength, height, width } = request();
    const size = { batch: FRAMES, height, width, outputs: 1 as const, table, latents: noise(FRAMES * 256) };
    const draw = noise(FRAMES * 256, 7);
    const [first, second] = [draw, draw.map((value) => -value)];
    const run = async (more: object) =>
      (await idle.native.denoise({ ...size, contextLength, context, ...more }).promise).latents;
    const drawn = concat([first, second]);
    const video = await run({ frames: FRAMES, noise: drawn });
    const each = [first, second].map((one) => swapped(one, [1, 4, FRAMES, height, width]));
    for (let frame = 0; frame < FRAMES; frame++) {
      const part = (values: Float32Array) => values.slice(frame * 256, (frame + 1) * 256);
      const alone = await run({
        batch: 1,
        frames: 1,
        latents: part(size.latents),
        noise: concat(each.map(part)),
      });
      alone.forEach((value, i) => {
        expect(value).toBeCloseTo(part(video)[i] as number, 3);
      });
    }
    idle.native.dispose();
  });
});
