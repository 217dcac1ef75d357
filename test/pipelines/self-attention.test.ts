import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { addedOutput } from '../../lib/guidance/added-output.js';
import {
  DiffusionPipeline,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionInpaintPipeline,
  type StableDiffusionPipeline,
  StableDiffusionSAGPipeline,
} from '../../lib/index.js';
import { repeatOptions } from '../../lib/settings/options.js';
import { parseSettings } from '../../lib/settings/parse.js';
import { writeSd } from './made-models.js';
import { distance, FOLDER, latentsOf, loadTiny, rejection, sameBits } from './tiny.js';

// Self-attention guidance. Its numbers are those of the reference data (test/conformance) and of test/native.

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

// As many calls as steps, and a mid block of more than a pixel, which would get no more attention than the mean.
const ddim = { scheduler: 'DDIM', steps: 4, width: 64, height: 128 } as const;
const run = (options: object = {}) => latentsOf(pipe, { ...ddim, ...options });

test('counts by its scale', async () => {
  const plain = await run();
  expect(sameBits(await run({ sagScale: 0 }), plain)).toBe(true);
  expect(distance(await run({ sagScale: 1e-6 }), plain)).toBeLessThan(1e-4);
  const [one, two] = [await run({ sagScale: 1 }), await run({ sagScale: 2 })];
  expect(distance(one, plain)).toBeGreaterThan(1e-4);
  expect(distance(two, plain)).toBeGreaterThan(distance(one, plain));
});

test('goes without a negative prompt', async () => {
  const plain = await run({ guidanceScale: 1 });
  expect(distance(await run({ guidanceScale: 1, sagScale: 1e-6 }), plain)).toBeLessThan(1e-4);
  expect(distance(await run({ guidanceScale: 1, sagScale: 1 }), plain)).toBeGreaterThan(1e-4);
});

test('where no pixel gets more attention than the others, nothing is degraded', async () => {
  const small = { height: 64 };
  expect(sameBits(await run({ ...small, sagScale: 1 }), await run(small))).toBe(true);
});

describe('with a cache', () => {
  const sag = { sagScale: 1, steps: 6 };

  test('of full calls alone it is as without, bit for bit', async () => {
    for (const guidanceScale of [7.5, 1]) {
      const plain = await run({ ...sag, guidanceScale });
      for (const branch of [0, 4]) {
        expect(sameBits(await run({ ...sag, guidanceScale, cache: { interval: 1, branch } }), plain)).toBe(
          true,
        );
      }
    }
  });

  test.each([
    ['retrieved calls', { interval: 2, branch: 1 }],
    ['deep ones', { interval: 3, branch: 9 }],
    ['features that go on', { interval: 2, branch: 1, featureDamping: 0.5 }],
    ['predicted calls', { plan: 'FFPFRF' }],
  ])('%s count for both', async (_, cache) => {
    const [with_, without] = [await run({ ...sag, cache }), await run({ steps: 6, cache })];
    expect(distance(with_, without)).toBeGreaterThan(1e-4);
    expect(distance(with_, await run(sag))).toBeLessThan(0.5);
  });
});

test('pictures of a batch are those that runs of one make', async () => {
  for (const cache of [false, { interval: 2, branch: 1 }]) {
    const both = await run({
      prompt: ['a cat', 'a dog'],
      seed: undefined,
      seeds: [1, 2],
      sagScale: 1,
      cache,
    });
    for (const [i, prompt] of ['a cat', 'a dog'].entries()) {
      const one = await run({ prompt, seed: i + 1, sagScale: 1, cache });
      expect(sameBits(both.subarray(i * one.length, (i + 1) * one.length), one)).toBe(true);
    }
  }
});

test('goes with rescaling, schedules, a cut-off, FreeU and guiders', async () => {
  const sag = { sagScale: 1 };
  const plain = await run(sag);
  // A guider that changes nothing but what is added up.
  const same = { guider: 'apg', guiderOptions: { adaptiveProjectedGuidanceRescale: 0 } };
  expect(distance(await run({ ...sag, ...same }), plain)).toBeLessThan(1e-4);
  expect(distance(await run({ ...sag, guidanceSchedule: [7.5, 7.5, 7.5, 7.5] }), plain)).toBe(0);
  for (const other of [
    { guidanceRescale: 0.7 },
    { guidanceSchedule: [7, 5, 3, 1] },
    { cutoffStepIndex: 1 },
    { freeU: { b1: 1.3, b2: 1.4, s1: 0.9, s2: 0.2 } },
    { guider: 'apg', guiderOptions: { eta: 0, adaptiveProjectedGuidanceMomentum: -0.5 } },
    { guider: 'cfg-zero-star' },
  ]) {
    const both = await run({ ...sag, ...other });
    expect(distance(both, plain)).toBeGreaterThan(1e-4);
    expect(distance(both, await run(other))).toBeGreaterThan(1e-4);
  }
  // Behind the cut-off there is the prompt's output alone.
  const cut = await run({ ...sag, cutoffStepIndex: 0, steps: 2 });
  expect(distance(cut, await run({ ...sag, steps: 2 }))).toBeGreaterThan(1e-4);
});

test('goes with samplers on other scales, and of two calls a step', async () => {
  for (const scheduler of ['EulerDiscrete', 'DPMSolverMultistep', 'HeunDiscrete', 'PNDM', 'LCM']) {
    const [plain, sag] = [await run({ scheduler }), await run({ scheduler, sagScale: 1 })];
    expect(sag.every(Number.isFinite)).toBe(true);
    expect(distance(sag, plain)).toBeGreaterThan(1e-4);
    expect(distance(await run({ scheduler, sagScale: 1e-6 }), plain)).toBeLessThan(1e-4);
  }
});

test('goes with pictures and masks', async () => {
  const pixels = (channels: number, value: (i: number) => number) => ({
    shape: [1, channels, 128, 64],
    data: Float32Array.from({ length: channels * 128 * 64 }, (_, i) => value(i)),
  });
  const image = pixels(3, (i) => 0.5 + 0.3 * Math.sin(i / 40));
  const maskImage = pixels(1, (i) => (i % 64 < 32 ? 1 : 0));
  const given = { scheduler: 'DDIM', steps: 4, image };
  const img2img = StableDiffusionImg2ImgPipeline.from(pipe);
  const inpaint = StableDiffusionInpaintPipeline.from(pipe);
  for (const [own, options] of [
    [img2img, given],
    [inpaint, { ...given, maskImage }],
  ] as const) {
    const [plain, sag] = [await latentsOf(own, options), await latentsOf(own, { ...options, sagScale: 1 })];
    expect(distance(sag, plain)).toBeGreaterThan(1e-4);
  }
});

test('a run takes the room of the larger pass, and of what all outputs leave', async () => {
  const size = { height: 16, width: 8 };
  const bytes = (batch: number, degradedOutputs?: number) =>
    pipe.unet.runBytes({ ...size, batch, degradedOutputs });
  const [two, three, degraded] = [await bytes(2), await bytes(3), await bytes(3, 3)];
  expect(degraded).toBeGreaterThan(two);
  expect(degraded).toBeLessThan(three);
  const macs = (batch: number, degradedOutputs?: number) =>
    pipe.unet.macs({ ...size, batch, degradedOutputs });
  const [both, one, all] = [await macs(2), await macs(1), await macs(3, 3)];
  expect(all.complete).toBe(both.complete + one.complete);
  // Besides, scores of two pixels with each other, over 40 channels.
  expect(all.executed).toBe(both.executed + one.executed + 2 * 2 * 40);
  await using alone = await loadTiny();
  await latentsOf(alone, { ...ddim, sagScale: 1 });
  const { arena, buffers } = alone.unet.memory();
  await using other = await loadTiny();
  await latentsOf(other, { ...ddim, pagScale: 1 });
  // A slice of factors for each call is all that it has besides.
  expect(arena).toBeLessThan(other.unet.memory().arena);
  expect(buffers).toBeLessThan(other.unet.memory().buffers + 10_000);
  expect((await rejection(bytes(2, 3))).message).toContain('degradedOutputs must be a divisor of the batch');
});

test('what does not go with it is named', async () => {
  const refused = async (options: object, message: string) => {
    const error = await rejection(run({ sagScale: 1, ...options }));
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
    expect(error.message).toContain(message);
  };
  await refused({ pagScale: 3 }, 'sagScale does not go together with pagScale');
  await refused({ cache: { interval: 1, gateStep: 2 } }, 'cache.gateStep does not go together with sagScale');
  expect(() => addedOutput({ sagScale: 1, guided: true }, pipe.unet, 'guessMode')).toThrow(
    'guessMode does not go together with sagScale',
  );
  const folder = mkdtempSync(join(tmpdir(), 'deepcache-sag-'));
  try {
    await writeSd(folder, { unet: { mid_block_type: null } });
    await using flat = await DiffusionPipeline.fromPretrained(folder, { device: 'cpu', log: () => {} });
    const error = await rejection(latentsOf(flat, { sagScale: 1 }));
    expect(error.message).toBe(
      'sagScale needs a U-Net whose mid block has self attention; this one has none',
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a picture says it, and is repeated', async () => {
  const { settings, tensor } = await pipe.generate({
    prompt: 'a lighthouse',
    ...ddim,
    sagScale: 0.75,
    seed: 7,
    output: 'latent',
  });
  expect(settings[0]).toContain('SAG scale: 0.75');
  const { schedulerConfig: _, ...options } = repeatOptions(parseSettings(settings[0] as string)).options;
  expect(options).toMatchObject({ sagScale: 0.75 });
  expect(sameBits(await run({ ...options, scheduler: 'DDIM' }), tensor?.data as Float32Array)).toBe(true);
});

test('is on by default in the pipeline of its name', async () => {
  await using own = await StableDiffusionSAGPipeline.fromPretrained(FOLDER, {
    device: 'cpu',
    log: () => {},
  });
  expect(sameBits(await latentsOf(own, ddim), await run({ sagScale: 0.75 }))).toBe(true);
  expect(sameBits(await latentsOf(own, { ...ddim, sagScale: 0 }), await run())).toBe(true);
  await using any = await DiffusionPipeline.fromPretrained(FOLDER, { device: 'cpu', log: () => {} });
  expect(sameBits(await latentsOf(any, ddim), await run())).toBe(true);
});
