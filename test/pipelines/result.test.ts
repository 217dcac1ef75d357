import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { compare } from '../../lib/entries/evaluate.js';
import { Scheduler } from '../../lib/entries/schedulers.js';
import { StableDiffusionPipeline, type StepEvent, type StreamEvent } from '../../lib/index.js';

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await StableDiffusionPipeline.fromPretrained('test/fixtures/sd15-tiny');
});
afterAll(() => pipe.dispose());

const RUN = { prompt: 'a', steps: 2 };

describe('as JSON and on the console', () => {
  test('a result is short, with seeds as numbers where they are exact', async () => {
    const result = await pipe.generate({ ...RUN, prompt: ['a', 'b'], seeds: [7, 2n ** 60n + 1n] });
    expect(result.seeds).toEqual([7, 2n ** 60n + 1n]);
    const json = JSON.parse(JSON.stringify(result));
    expect(json.seeds).toEqual([7, '1152921504606846977']);
    expect(json.images[0]).toMatchObject({ width: 64, height: 64 });
    expect(json.stats.calls).toBe(3);
    expect(JSON.stringify(result).length).toBeLessThan(2000);
    expect(inspect(result.images[0])).toBe('Image 64x64');
    expect(inspect(result).length).toBeLessThan(2000);
    expect(Object.keys(result)).not.toContain('toJSON');
  });

  test.each(['latent', 'float32'] as const)('%s', async (output) => {
    const result = await pipe.generate({ ...RUN, output });
    const { shape } = result.tensor ?? {};
    expect(JSON.parse(JSON.stringify(result)).tensor).toEqual({ dtype: 'float32', shape });
    expect(inspect(result.tensor)).toBe(`Tensor float32 [${shape?.join(', ')}]`);
  });

  test('steps and streams', async () => {
    const events: StreamEvent[] = [];
    const steps: StepEvent[] = [];
    const onStep = (event: StepEvent) => steps.push(event);
    const options = { ...RUN, seed: 2n ** 61n, previewEvery: 1, latentsEvery: 1, onStep };
    for await (const event of pipe.stream(options)) events.push(event);
    for (const event of [...events, ...steps]) expect(JSON.stringify(event).length).toBeLessThan(2000);
    expect(JSON.parse(JSON.stringify(events.at(-1)))).toMatchObject({
      type: 'result',
      seeds: [String(2n ** 61n)],
    });
    expect(inspect(steps[0]?.preview)).toBe('LatentPreview float32 [1, 4, 8, 8]');
  });

  test('the pipeline itself', () => {
    expect(inspect(pipe)).toBe('StableDiffusionPipeline on cpu');
    expect(JSON.parse(JSON.stringify(pipe))).toMatchObject({
      className: 'StableDiffusionPipeline',
      device: 'cpu',
    });
  });

  test('its parts', () => {
    const { scheduler } = pipe;
    expect(inspect(scheduler)).toMatch(/^PNDMScheduler \{"beta_.{1,200}… \(\d+ characters\)$/);
    const again = Scheduler.fromConfig(JSON.parse(JSON.stringify(scheduler)));
    expect(again.config).toEqual(scheduler.config);
    expect(inspect(pipe.unet)).toBe('UNet2DConditionModel on cpu');
    expect(inspect(pipe.vae)).toBe('AutoencoderKL on cpu');
    expect(JSON.parse(JSON.stringify(pipe.unet))).toEqual(pipe.unet.config);
  });

  test('errors keep their message', async () => {
    const error = await pipe.generate({ ...RUN, steps: 0 }).catch((reason: unknown) => reason);
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      name: 'DeepCacheError',
      code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
      message: expect.stringMatching(/^steps must be/),
    });
  });

  test('encoded prompts', async () => {
    expect(JSON.stringify(await pipe.encodePrompt(RUN)).length).toBeLessThan(200);
  });
});

describe('seed -1', () => {
  test.each([-1, -1n])('%p is a random one, that the result tells', async (seed) => {
    const [first, second] = [await pipe.generate({ ...RUN, seed }), await pipe.generate({ ...RUN, seed })];
    expect(first.seeds).not.toEqual(second.seeds);
    const again = await pipe.generate({ ...RUN, seed: first.seeds[0] as number });
    expect(again.images[0]?.data).toEqual(first.images[0]?.data);
  });

  test('in a list', async () => {
    const { seeds } = await pipe.generate({ ...RUN, prompt: ['a', 'b', 'c'], seeds: [-1, 5, -1] });
    expect(seeds[1]).toBe(5);
    expect(seeds[0]).not.toBe(seeds[2]);
    expect(seeds).not.toContain(-1);
  });

  test('the same for all runs of a comparison', async () => {
    const { runs, seeds } = await compare(pipe, { ...RUN, seed: -1 }, [{ interval: 1 }]);
    expect(seeds[0]).toBeGreaterThanOrEqual(0);
    expect(runs[0]?.psnr).toBe(Number.POSITIVE_INFINITY);
  });

  test('the bits of -1 are told as a number that does not mean a random one', async () => {
    const { seeds, images } = await pipe.generate({ ...RUN, seed: 2n ** 64n - 1n });
    expect(seeds).toEqual([2n ** 64n - 1n]);
    expect(images[0]?.metadata.parameters).toContain('Seed: 18446744073709551615');
  });
});
