import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { StableDiffusionPipeline } from '../../lib/index.js';
import { StableDiffusionPAGPipeline } from '../../lib/index.js';
import { repeatOptions } from '../../lib/settings/options.js';
import { parseSettings } from '../../lib/settings/parse.js';
import { distance, FOLDER, latentsOf, loadTiny, rejection, sameBits } from './tiny.js';

// FreeU, perturbed-attention guidance, and guiders: what they do to a run. The reference data holds their numbers.

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

// As many calls as steps.
const ddim = { scheduler: 'DDIM', steps: 3 } as const;
const run = (options: object = {}) => latentsOf(pipe, { ...ddim, ...options });

describe('FreeU', () => {
  const freeU = { b1: 1.3, b2: 1.4, s1: 0.9, s2: 0.2 };

  test('with factors of one changes nothing, with others it does, with a zero it is off', async () => {
    const plain = await run();
    expect(distance(await run({ freeU: { b1: 1, b2: 1, s1: 1, s2: 1 } }), plain)).toBeLessThan(1e-5);
    for (const name of ['b1', 'b2', 's1', 's2']) {
      const one = { b1: 1, b2: 1, s1: 1, s2: 1, [name]: freeU[name as 'b1'] };
      expect(distance(await run({ freeU: one }), plain)).toBeGreaterThan(1e-4);
    }
    expect(sameBits(await run({ freeU: { ...freeU, s2: 0 } }), plain)).toBe(true);
  });

  test('is enabled for a pipeline, and a run says otherwise', async () => {
    const [plain, expected] = [await run(), await run({ freeU })];
    pipe.enableFreeU(freeU);
    try {
      expect(sameBits(await run(), expected)).toBe(true);
      expect(sameBits(await run({ freeU: false }), plain)).toBe(true);
      const { settings } = await pipe.generate({ prompt: 'a', ...ddim, output: 'latent' });
      expect(settings[0]).toContain('FreeU: ');
    } finally {
      pipe.disableFreeU();
    }
    expect(sameBits(await run(), plain)).toBe(true);
    expect(() => pipe.enableFreeU({ b1: 1 } as never)).toThrow('factors.b2');
  });

  test('goes with the cache, which keeps what is not scaled yet', async () => {
    for (const branch of [0, 6]) {
      const cached = { freeU, steps: 4, cache: { interval: 2, branch } };
      const every = await run({ ...cached, cache: { interval: 1, branch } });
      expect(sameBits(every, await run({ ...cached, cache: false }))).toBe(true);
      expect(distance(await run(cached), every)).toBeLessThan(0.5);
    }
  });
});

describe('perturbed-attention guidance', () => {
  const size = { width: 64, height: 128 };

  test('adds an output, and counts by its scale', async () => {
    const plain = await run(size);
    expect(sameBits(await run({ ...size, pagScale: 0 }), plain)).toBe(true);
    expect(distance(await run({ ...size, pagScale: 1e-6 }), plain)).toBeLessThan(1e-4);
    expect(distance(await run({ ...size, pagScale: 3 }), plain)).toBeGreaterThan(1e-4);
    // It fades away at once.
    expect(distance(await run({ ...size, pagScale: 3, pagAdaptiveScale: 1000 }), plain)).toBeLessThan(1e-5);
  });

  test('goes without a negative prompt, and there fades too', async () => {
    const plain = await run({ ...size, guidanceScale: 1 });
    const perturbed = { ...size, guidanceScale: 1, pagScale: 3 };
    expect(distance(await run(perturbed), plain)).toBeGreaterThan(1e-4);
    expect(distance(await run({ ...perturbed, pagAdaptiveScale: 1000 }), plain)).toBeLessThan(1e-5);
  });

  test('layers are found by parts of names', async () => {
    const of = (pagAppliedLayers: string | string[]) => run({ ...size, pagScale: 3, pagAppliedLayers });
    const mid = await of('mid');
    expect(sameBits(await run({ ...size, pagScale: 3 }), mid)).toBe(true);
    expect(sameBits(await of(['mid_block.attentions.0', 'mid']), mid)).toBe(true);
    expect(distance(await of(['mid', 'up_blocks.1.attentions.0']), mid)).toBeGreaterThan(1e-6);
    const none = await rejection(run({ pagScale: 3, pagAppliedLayers: 'up_blocks.9' }));
    expect(none).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
    expect(none.message).toContain('names "up_blocks.9", which is in no self attention');
  });

  test('goes with a cut-off, a schedule and the cache', async () => {
    const perturbed = { ...size, pagScale: 2, steps: 4 };
    const cut = await run({ ...perturbed, cutoffStepIndex: 0 });
    expect(distance(cut, await run({ ...perturbed, guidanceSchedule: [7.5, 1, 1, 1] }))).toBeGreaterThan(
      1e-5,
    );
    const cached = { ...perturbed, cache: { interval: 2, branch: 1 } };
    expect(distance(await run(cached), await run(perturbed))).toBeLessThan(0.5);
    const every = await run({ ...perturbed, cache: { interval: 1, branch: 1 } });
    expect(sameBits(every, await run(perturbed))).toBe(true);
  });

  test('is on by default in the pipelines of its name', async () => {
    await using own = await StableDiffusionPAGPipeline.fromPretrained(FOLDER, {
      device: 'cpu',
      log: () => {},
    });
    const expected = await run({ ...size, pagScale: 3 });
    expect(sameBits(await latentsOf(own, { ...ddim, ...size }), expected)).toBe(true);
  });
});

describe('guiders', () => {
  test('that change nothing give what ordinary guidance gives', async () => {
    const plain = await run();
    const same = { guider: 'apg', guiderOptions: { adaptiveProjectedGuidanceRescale: 0 } };
    expect(distance(await run(same), plain)).toBeLessThan(1e-4);
    expect(sameBits(await run({ guider: 'cfg' }), plain)).toBe(true);
    const faded = { guider: 'mambo-g', guiderOptions: { alpha: 0 } };
    expect(distance(await run(faded), plain)).toBeLessThan(1e-4);
    const mixed = { guider: 'apg-mix', guiderOptions: { adaptiveProjectedGuidanceStartStep: 9 } };
    expect(distance(await run(mixed), plain)).toBeLessThan(1e-4);
    // The other formulation begins at the conditional output: the same scale is one less.
    const original = { guidanceScale: 6.5, guiderOptions: { useOriginalFormulation: true } };
    expect(distance(await run(original), plain)).toBeLessThan(1e-4);
  });

  test.each(['cfg-zero-star', 'apg', 'apg-mix', 'tcfg', 'mambo-g'])(
    '%s changes the picture',
    async (guider) => {
      const options = guider === 'apg' ? { guiderOptions: { eta: 0 } } : {};
      const mix = guider === 'apg-mix' ? { guiderOptions: { adaptiveProjectedGuidanceStartStep: 0 } } : {};
      const latents = await run({ guider, ...options, ...mix });
      expect(distance(latents, await run())).toBeGreaterThan(1e-4);
      expect(latents.every(Number.isFinite)).toBe(true);
    },
  );

  test('are on for a part of the calls', async () => {
    const cut = await run({ guider: 'tcfg', cutoffStepIndex: 0 });
    expect(sameBits(await run({ guider: 'tcfg', guiderOptions: { stop: 0.34 } }), cut)).toBe(true);
  });

  test('with momentum take a slot that the sampler and the cache leave', async () => {
    const guiderOptions = { adaptiveProjectedGuidanceMomentum: -0.5 };
    const apg = { guider: 'apg', guiderOptions, steps: 6 };
    for (const scheduler of ['PNDM', 'UniPC', 'DPMSolverMultistep']) {
      expect((await run({ ...apg, scheduler })).every(Number.isFinite)).toBe(true);
    }
    const forecast = { ...apg, scheduler: 'DPMSolverMultistep', cache: { plan: 'FFPFPF' } };
    expect((await run(forecast)).every(Number.isFinite)).toBe(true);
    const other = { ...apg, guiderOptions: { adaptiveProjectedGuidanceMomentum: 0 } };
    expect(distance(await run(apg), await run(other))).toBeGreaterThan(1e-5);
  });
});

test('the settings of a picture repeat all of it', async () => {
  const options = {
    ...ddim,
    prompt: 'a lighthouse',
    seed: 7,
    guider: 'apg' as const,
    guiderOptions: { eta: 0.25, adaptiveProjectedGuidanceMomentum: -0.5 },
    freeU: { b1: 1.3, b2: 1.4, s1: 0.9, s2: 0.2 },
  };
  for (const each of [
    options,
    {
      ...ddim,
      prompt: 'a',
      seed: 7,
      pagScale: 2,
      pagAdaptiveScale: 0.001,
      pagAppliedLayers: ['mid', 'down'],
    },
  ]) {
    const run = { ...each, output: 'latent' as const };
    const { settings, tensor } = await pipe.generate(run);
    const { options: again } = repeatOptions(parseSettings(settings[0] as string));
    const { schedulerConfig: _, ...rest } = again;
    const repeated = { prompt: '', ...rest, scheduler: 'DDIM' as const };
    expect(sameBits(await latentsOf(pipe, repeated), tensor.data)).toBe(true);
  }
});
