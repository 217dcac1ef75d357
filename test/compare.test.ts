import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CompareEvent, type Comparison, compare, psnr, ssim } from '../lib/entries/evaluate.js';
import {
  Image,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionInpaintPipeline,
  type StableDiffusionPipeline,
} from '../lib/index.js';
import { distance, loadTiny, rejection, untyped } from './pipelines/tiny.js';

const OPTIONS = { prompt: 'a lighthouse', steps: 9, scheduler: 'DDIM', seed: 5 } as const;

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

describe('figures', () => {
  let comparison: Comparison;
  beforeAll(async () => {
    comparison = await compare(pipe, OPTIONS, [{ interval: 1 }, { interval: 2 }, { interval: 3, branch: 5 }]);
  });

  test('an interval of 1 is the reference, bit for bit', () => {
    const { runs, reference } = comparison;
    expect(runs[0]).toMatchObject({ name: 'interval=1', psnr: Infinity, ssim: 1, latentL2: 0, macsShare: 1 });
    expect(runs[0]?.image.data).toEqual(reference.image.data);
    expect(reference).toMatchObject({
      name: 'no cache',
      cache: false,
      psnr: Infinity,
      latentL2: 0,
      speedup: 1,
    });
  });

  test('count what calls behind a gate leave out', async () => {
    const gated = await compare(pipe, OPTIONS, [{ interval: 3, gateStep: 3 }], { repeats: 1 });
    const kept = { cross: 'kept' } as const;
    const [full, behind] = [await pipe.unet.macs(), await pipe.unet.macs(kept)];
    const [retrieve, retrieveBehind] = [await pipe.unet.branches(), await pipe.unet.branches(kept)];
    // Full: 0, 2 before the gate and 3, 6 behind it.
    const before = 2 * full.complete + Number(retrieve[0]?.macs.complete);
    const after = 2 * behind.complete + 4 * Number(retrieveBehind[0]?.macs.complete);
    expect(gated.runs[0]?.macsShare).toBeCloseTo((before + after / 2) / (9 * full.complete), 9);
  });

  test('are those of runs made one by one', async () => {
    for (const { cache, latents, images, latentL2, ...run } of comparison.runs) {
      const one = await pipe.generate({ ...OPTIONS, cache });
      const latent = await pipe.generate({ ...OPTIONS, cache, output: 'latent' });
      const exact = await pipe.generate({ ...OPTIONS, output: 'latent' });
      const { images: expected } = await pipe.generate(OPTIONS);
      expect(images.map(({ data }) => data)).toEqual(one.images.map(({ data }) => data));
      expect(latents).toEqual(latent.tensor);
      expect(latentL2).toBeCloseTo(distance(latent.tensor?.data ?? [], exact.tensor?.data ?? []), 12);
      expect(run.psnr).toBe(psnr(one.images[0] as Image, expected[0] as Image));
      expect(run.ssim).toBe(ssim(one.images[0] as Image, expected[0] as Image));
    }
    expect(comparison.runs[1]?.latentL2).toBeGreaterThan(1e-4);
  });

  test('steps, and what they cost', async () => {
    const [, second, third] = comparison.runs;
    expect(second?.stats).toMatchObject({ calls: 9, fullCalls: 5, retrieveCalls: 4 });
    expect(third?.stats).toMatchObject({ calls: 9, fullCalls: 3, retrieveCalls: 6 });
    const shares = (await pipe.unet.branches()).map(({ share }) => share);
    expect(second?.macsShare).toBeCloseTo((5 + 4 * (shares[0] as number)) / 9, 10);
    expect(third?.macsShare).toBeCloseTo((3 + 6 * (shares[5] as number)) / 9, 10);
  });

  test('in JSON, where infinity is a text', () => {
    const json = JSON.parse(JSON.stringify(comparison));
    expect(json).toMatchObject({ seeds: ['5'], titles: ['a lighthouse'], device: 'cpu' });
    expect(json.runs[0]).toMatchObject({
      psnr: 'Infinity',
      latentL2: 0,
      differences: [{ psnr: 'Infinity' }],
    });
    expect(json.runs[1].psnr).toBe(comparison.runs[1]?.psnr);
    expect(JSON.stringify(json).length).toBeLessThan(5000); // no pixels
  });

  test('short runs are repeated, and the spread of their speed-ups is told', () => {
    for (const { speedup, speedups, speedupRange } of comparison.runs) {
      // A ratio and a corrected one of each round.
      expect(speedups.length).toBeGreaterThanOrEqual(6);
      const ratios = speedups.filter((_, i) => i % 2 === 0).sort((a, b) => a - b);
      expect(ratios[0]).toBeLessThanOrEqual(speedup);
      expect(ratios.at(-1)).toBeGreaterThanOrEqual(speedup);
      expect(speedupRange[0]).toBeLessThanOrEqual(speedupRange[1]);
    }
    expect(comparison.reference).toMatchObject({ speedup: 1, speedupRange: [1, 1], isNoisy: false });
  });

  test('do not depend on the order of the settings', async () => {
    const reversed = comparison.runs.map(({ cache }) => cache).reverse();
    const again = await compare(pipe, OPTIONS, reversed);
    const figures = ({ runs }: Comparison) =>
      runs.map(({ name, psnr, latentL2 }) => ({ name, psnr, latentL2 }));
    expect(figures(again).reverse()).toEqual(figures(comparison));
  });
});

describe('settings', () => {
  test('have the names of their keys, or say what they are', async () => {
    const named = await compare(pipe, OPTIONS, { slow: false, 'every second': { interval: 2 } });
    expect(named.runs.map(({ name }) => name)).toEqual(['slow', 'every second']);
    const listed = await compare(pipe, OPTIONS, [false, 'fast', { steps: [0, 4], branch: 2 }]);
    expect(listed.runs.map(({ name }) => name)).toEqual(['no cache', 'fast', 'steps=0+4, branch=2']);
  });

  test('are the presets when there are none; what is not followed is noted', async () => {
    const { runs } = await compare(pipe, { ...OPTIONS, steps: 4 });
    expect(runs.map(({ name }) => name)).toEqual(['quality', 'balanced', 'fast']);
    for (const { notes, latentL2 } of runs) {
      expect(notes[0]).toMatch(/is not used: with 4 U-Net calls/);
      expect(latentL2).toBe(0);
    }
  });
});

describe('several images', () => {
  test('have titles and differences of their own', async () => {
    const prompt = ['a dog', 'a red house'];
    const { runs, titles, reference } = await compare(pipe, { ...OPTIONS, prompt, numImages: 2 }, ['fast']);
    expect(titles).toEqual([
      'a dog (image 1)',
      'a dog (image 2)',
      'a red house (image 1)',
      'a red house (image 2)',
    ]);
    const [run] = runs;
    expect(run?.differences).toHaveLength(4);
    run?.differences.forEach((difference, i) => {
      const pair = [run.images[i] as Image, reference.images[i] as Image] as const;
      const block = (data: Float32Array) => data.subarray(i * 256, (i + 1) * 256);
      expect(difference.psnr).toBeCloseTo(psnr(...pair), 12);
      expect(difference.ssim).toBe(ssim(...pair));
      const [latents, exact] = [block(run.latents.data), block(reference.latents.data)];
      expect(difference.latentL2).toBeCloseTo(distance(latents, exact), 12);
    });
    // PSNR of the mean of the squared errors, mean SSIM.
    const errors = run?.differences.map((difference) => 10 ** (-difference.psnr / 10)) ?? [];
    expect(run?.psnr).toBeCloseTo(-10 * Math.log10(errors.reduce((a, b) => a + b) / 4), 9);
    const similarities = run?.differences.map((difference) => difference.ssim) ?? [];
    expect(run?.ssim).toBeCloseTo(similarities.reduce((a, b) => a + b) / 4, 12);
  });

  test('without a seed, one is drawn for all runs', async () => {
    const { seed: _, ...options } = OPTIONS;
    const { seeds, runs } = await compare(pipe, options, [{ interval: 1 }]);
    expect(seeds).toHaveLength(1);
    expect(runs[0]?.latentL2).toBe(0);
    const other = await compare(pipe, options, [{ interval: 1 }]);
    expect(other.seeds).not.toEqual(seeds);
  });
});

describe('other pipelines', () => {
  let image: Image;
  beforeAll(async () => {
    const values = Float32Array.from({ length: 3 * 64 * 64 }, (_, i) => (i % 64) / 63);
    image = await Image.fromFloat(values, 64, 64);
  });

  test('image to image, with a strength that leaves few steps', async () => {
    const from = StableDiffusionImg2ImgPipeline.from(pipe) as StableDiffusionImg2ImgPipeline;
    const settings = [{ interval: 1 }, { interval: 2 }];
    const { runs } = await compare(from, { ...OPTIONS, steps: 20, image, strength: 0.25 }, settings);
    expect(runs.map(({ stats }) => [stats.fullCalls, stats.retrieveCalls])).toEqual([
      [5, 0],
      [3, 2],
    ]);
    expect(runs[0]?.latentL2).toBe(0);
    expect(runs[1]?.latentL2).toBeGreaterThan(0);
    const one = await compare(from, { ...OPTIONS, steps: 4, image, strength: 0.25 }, [{ interval: 2 }]);
    expect(one.runs[0]).toMatchObject({ stats: { calls: 1, fullCalls: 1 }, latentL2: 0 });
    await from.dispose();
  });

  test('inpainting', async () => {
    const from = StableDiffusionInpaintPipeline.from(pipe) as StableDiffusionInpaintPipeline;
    const { runs } = await compare(from, { ...OPTIONS, image, maskImage: image }, [{ interval: 1 }, 'fast']);
    expect(runs.map(({ stats }) => stats.fullCalls)).toEqual([9, 2]);
    expect(runs[0]?.latentL2).toBe(0);
    await from.dispose();
  });
});

describe('progress', () => {
  test('tells which run is at which step; every second round goes backwards', async () => {
    const events: CompareEvent[] = [];
    const settings = { two: { interval: 2 }, three: { interval: 3 } };
    await compare(pipe, OPTIONS, settings, { repeats: 2, onProgress: (event) => events.push(event) });
    expect(events).toHaveLength(6 * 9);
    expect(
      events.filter(({ event }) => event.call === 1).map(({ name, run, runs }) => [name, run, runs]),
    ).toEqual([
      ['no cache', 1, 6],
      ['two', 2, 6],
      ['three', 3, 6],
      ['three', 4, 6],
      ['two', 5, 6],
      ['no cache', 6, 6],
    ]);
    expect(events.filter(({ run }) => run === 3).map(({ event }) => event.full)).toEqual(
      [0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => i % 3 === 0),
    );
    expect(events.every(({ event }) => event.latents === undefined)).toBe(true);
  });

  test('an abort ends it with its reason, and the pipeline stays usable', async () => {
    const stop = new AbortController();
    const reason = new Error('enough');
    let last: CompareEvent | undefined;
    const onProgress = (event: CompareEvent) => {
      last = event;
      if (event.run === 2 && event.event.call === 3) stop.abort(reason);
    };
    const work = compare(pipe, { ...OPTIONS, steps: 200, signal: stop.signal }, ['fast', 'quality'], {
      onProgress,
    });
    expect(await rejection(work)).toBe(reason);
    expect(last?.run).toBe(2);
    expect(last?.event.call).toBeLessThan(150);
    expect((await pipe.generate(OPTIONS)).images).toHaveLength(1);
    expect(await rejection(compare(pipe, { ...OPTIONS, signal: stop.signal }))).toBe(reason);
  });

  test('what its callback throws ends it', async () => {
    const error = new Error('no more');
    const onProgress = () => {
      throw error;
    };
    expect(await rejection(compare(pipe, OPTIONS, ['fast'], { onProgress }))).toBe(error);
  });
});

describe('wrong use', () => {
  test.each<[string, object, unknown, RegExp]>([
    ['a cache among the options', { cache: 'fast' }, ['fast'], /^cache belongs in the settings to compare/],
    ['latents as output', { output: 'latent' }, ['fast'], /^output is decided by compare/],
    ['onStep', { onStep: () => {} }, ['fast'], /^onStep is decided by compare/],
    ['no settings', {}, [], /^settings must have at least one/],
    ['settings that are none', {}, 'fast', /^settings must be a list/],
    ['an unknown preset', {}, ['fastest'], /^cache must be .*, got "fastest" \(of the setting "fastest"\)$/],
    ['an interval of 0', {}, { a: { interval: 0 } }, /^cache.interval must be .* \(of the setting "a"\)$/],
    [
      'a branch that the U-Net lacks',
      {},
      [{ interval: 2, branch: 12 }],
      /^cache.branch must be .* from 0 to 11/,
    ],
    ['a call beyond the run', {}, [{ steps: [0, 9] }], /^cache.steps\[1\] must be a call from 0 to 8/],
    ['null', {}, [null], /^cache must be/],
    ['an option that is none', { stepz: 3 }, ['fast'], /^stepz is not an option/],
    ['a bad option', { steps: 0 }, ['fast'], /^steps must be a whole number/],
  ])('%s', async (_name, options, settings, message) => {
    const onProgress = () => {
      throw new Error('a run was started');
    };
    const given = untyped({ ...OPTIONS, ...options });
    const work = compare(pipe, given, settings as never, { onProgress });
    const { code, message: text } = await rejection(work);
    expect(text).toMatch(message);
    expect(code).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
  });

  test('no pipeline, no options, no count', async () => {
    const code = 'ERR_DEEPCACHE_INVALID_ARGUMENT';
    expect(await rejection(compare({} as never, OPTIONS))).toMatchObject({
      code,
      message: expect.stringMatching(/^pipe must/),
    });
    expect(await rejection(compare(pipe, null as never))).toMatchObject({
      code,
      message: expect.stringMatching(/^options must/),
    });
    const work = compare(pipe, OPTIONS, ['fast'], { repeats: 0 });
    expect(await rejection(work)).toMatchObject({
      code,
      message: expect.stringMatching(/^repeats must be a whole number of at least 1/),
    });
  });
});
