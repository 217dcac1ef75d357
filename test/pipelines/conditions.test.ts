import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { StableDiffusionPipeline, Tensor } from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { distance, imageOf, LATENT, latentsOf, loadTiny, rejection, sameBits } from './tiny.js';

// What steers a run: prompts or their embeddings, guidance, latents of one's own, sizes.

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

/** What the pipeline makes of a prompt. */
async function embedsOf(text: string, skip = 0): Promise<Tensor> {
  const { last } = await pipe.textEncoder.encode(pipe.tokenizer.encodePadded(text), 1, { skip });
  return { data: last, shape: [1, 77, pipe.textEncoder.width] };
}

describe('promptEmbeds', () => {
  test('are the prompt, the negative ones the negative prompt', async () => {
    const expected = await latentsOf(pipe, { prompt: 'a cat', negativePrompt: 'a dog' });
    const [promptEmbeds, negativePromptEmbeds] = [await embedsOf('a cat'), await embedsOf('a dog')];
    expect(sameBits(await latentsOf(pipe, { promptEmbeds, negativePromptEmbeds }), expected)).toBe(true);
    expect(sameBits(await latentsOf(pipe, { promptEmbeds, negativePrompt: 'a dog' }), expected)).toBe(true);
  });

  test('go with the empty negative prompt by default', async () => {
    const expected = await latentsOf(pipe, { prompt: 'a cat' });
    expect(sameBits(await latentsOf(pipe, { promptEmbeds: await embedsOf('a cat') }), expected)).toBe(true);
  });

  test('are a batch, repeated for the images of each', async () => {
    const [cat, dog] = [await embedsOf('a cat'), await embedsOf('a dog')];
    const promptEmbeds = { data: Float32Array.from([...cat.data, ...dog.data]), shape: [2, 77, 32] };
    const seeds = [1, 2, 3, 4];
    const batch = await latentsOf(pipe, { promptEmbeds, seed: undefined, seeds, numImages: 2 } as object);
    const single = await latentsOf(pipe, { prompt: 'a dog', seed: 3 });
    expect(distance(imageOf(batch, 2, 4), single)).toBeLessThan(1e-5);
  });

  test('may have another length, with negative ones of the same', async () => {
    const data = new (native().Generator)(1n).randn(100 * 32) as Float32Array;
    const promptEmbeds = { data, shape: [1, 100, 32] };
    const latents = await latentsOf(pipe, { promptEmbeds, negativePromptEmbeds: promptEmbeds });
    // Both halves are the same: guidance adds nothing.
    const unguided = await latentsOf(pipe, { promptEmbeds, guidanceScale: 1 });
    expect(distance(latents, unguided)).toBeLessThan(1e-5);
  });
});

describe('latents', () => {
  const data = new (native().Generator)(5n).randn(LATENT) as Float32Array;
  const latents = { data, shape: [1, 4, 8, 8] };

  test('take the place of the first draw', async () => {
    expect(sameBits(await latentsOf(pipe, { latents, seed: 1 }), await latentsOf(pipe, { seed: 5 }))).toBe(
      true,
    );
  });

  test('are scaled by samplers that start elsewhere, and left alone themselves', async () => {
    const before = Float32Array.from(data);
    const given = await latentsOf(pipe, { latents, scheduler: 'Euler', seed: 1 });
    expect(sameBits(given, await latentsOf(pipe, { scheduler: 'Euler', seed: 5 }))).toBe(true);
    expect(sameBits(data, before)).toBe(true);
  });

  test('leave the generator to the steps', async () => {
    const run = { latents, scheduler: 'DDIM', eta: 1 };
    expect(
      sameBits(await latentsOf(pipe, { ...run, seed: 1 }), await latentsOf(pipe, { ...run, seed: 2 })),
    ).toBe(false);
    expect(
      sameBits(await latentsOf(pipe, { ...run, seed: 1 }), await latentsOf(pipe, { ...run, seed: 1 })),
    ).toBe(true);
  });
});

describe('clipSkip', () => {
  test('leaves out layers for the prompt, not for the negative one', async () => {
    const expected = await latentsOf(pipe, {
      promptEmbeds: await embedsOf('a cat', 1),
      negativePromptEmbeds: await embedsOf('a dog'),
    });
    const skipped = await latentsOf(pipe, { prompt: 'a cat', negativePrompt: 'a dog', clipSkip: 1 });
    expect(sameBits(skipped, expected)).toBe(true);
    expect(sameBits(skipped, await latentsOf(pipe, { prompt: 'a cat', negativePrompt: 'a dog' }))).toBe(
      false,
    );
  });

  test('reaches up to the first layer', async () => {
    const layers = pipe.textEncoder.layers;
    const expected = await latentsOf(pipe, { promptEmbeds: await embedsOf('a cat', layers - 1) });
    expect(sameBits(await latentsOf(pipe, { prompt: 'a cat', clipSkip: layers - 1 }), expected)).toBe(true);
  });
});

describe('guidance', () => {
  // As many calls as steps.
  const ddim = { scheduler: 'DDIM' } as const;

  test('is off at 1 and below: the negative prompt does not matter', async () => {
    const off = await latentsOf(pipe, { guidanceScale: 1 });
    expect(sameBits(await latentsOf(pipe, { guidanceScale: 1, negativePrompt: 'fog' }), off)).toBe(true);
    expect(sameBits(await latentsOf(pipe, { guidanceScale: 0 }), off)).toBe(true);
    expect(sameBits(await latentsOf(pipe, { guidanceScale: 1.5 }), off)).toBe(false);
  });

  test('is 7.5 by default, with the empty negative prompt', async () => {
    const expected = await latentsOf(pipe, { guidanceScale: 7.5, negativePrompt: '' });
    expect(sameBits(await latentsOf(pipe), expected)).toBe(true);
  });

  test('close above 1 is close to none', async () => {
    const off = await latentsOf(pipe, { guidanceScale: 1 });
    expect(distance(await latentsOf(pipe, { guidanceScale: 1 + 1e-6 }), off)).toBeLessThan(1e-4);
  });

  test('a schedule of one scale is that scale, and another one another picture', async () => {
    const plain = await latentsOf(pipe, { ...ddim, steps: 3, guidanceScale: 4 });
    const scheduled = (...guidanceSchedule: number[]) =>
      latentsOf(pipe, { ...ddim, steps: 3, guidanceSchedule });
    expect(sameBits(await scheduled(4, 4, 4), plain)).toBe(true);
    expect(distance(await scheduled(4, 4, 8), plain)).toBeGreaterThan(1e-4);
    // A scale of 1 is the prompt's output alone.
    const cutoff = await latentsOf(pipe, { ...ddim, steps: 3, guidanceScale: 4, cutoffStepIndex: 0 });
    expect(distance(await scheduled(4, 1, 1), cutoff)).toBeLessThan(1e-4);
    const share = await latentsOf(pipe, { ...ddim, steps: 3, guidanceScale: 4, cutoffStepRatio: 0.3 });
    expect(sameBits(share, cutoff)).toBe(true);
  });

  test('a cut-off goes with the cache: retrieved calls read the features of the positive half', async () => {
    const cached = { ...ddim, steps: 4, guidanceScale: 4, cache: { interval: 2, branch: 1 } };
    const expected = await latentsOf(pipe, { ...cached, guidanceSchedule: [4, 1, 1, 1] });
    expect(distance(await latentsOf(pipe, { ...cached, cutoffStepIndex: 0 }), expected)).toBeLessThan(1e-4);
  });

  test('rescale makes another image, 0 does not', async () => {
    const plain = await latentsOf(pipe);
    expect(sameBits(await latentsOf(pipe, { guidanceRescale: 0 }), plain)).toBe(true);
    expect(distance(await latentsOf(pipe, { guidanceRescale: 0.7 }), plain)).toBeGreaterThan(1e-4);
  });
});

describe('sizes', () => {
  test.each([
    [8, 8],
    [72, 56],
    [128, 64],
    [64, 200],
  ])('%i x %i', async (width, height) => {
    const { images } = await pipe.generate({
      prompt: 'a',
      width,
      height,
      steps: 2,
      seed: 1,
      cache: { interval: 2 },
    });
    expect(images).toHaveLength(1);
    expect(images[0]).toMatchObject({ width, height });
    expect(images[0]?.data).toHaveLength(width * height * 3);
  });

  test('leave no trace in later runs', async () => {
    const expected = await latentsOf(pipe);
    await latentsOf(pipe, { width: 136, height: 72, numImages: 3 });
    await latentsOf(pipe, { width: 8, height: 8 });
    expect(sameBits(await latentsOf(pipe), expected)).toBe(true);
  });

  test("are the model's own by default", async () => {
    const { images } = await pipe.generate({ prompt: 'a', steps: 1 });
    expect(images[0]).toMatchObject({ width: 64, height: 64 });
  });

  test('an odd one is told with the next that works', async () => {
    const { message } = await rejection(pipe.generate({ prompt: 'a', width: 70 }));
    expect(message).toMatch(/multiple of 8.*72/);
  });
});

test('warmup prepares a run and changes nothing', async () => {
  const expected = await latentsOf(pipe);
  await pipe.warmup();
  await pipe.warmup({ width: 72, cache: { interval: 2 }, guidanceScale: 3 });
  expect(sameBits(await latentsOf(pipe), expected)).toBe(true);
});
