import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { StableDiffusionPipeline, Tensor } from '../../lib/index.js';
import { distance, imageOf, latentsOf, loadTiny, rejection, sameBits } from './tiny.js';

// Prompts of more than 75 tokens, and prompts with weights.

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

const LENGTH = 77;
const WIDTH = 32;

/** The states of texts of one block each, one after the other: [1, 77 * texts, 32]. */
async function statesOf(...texts: string[]): Promise<Tensor> {
  const { last } = await pipe.textEncoder.encode(pipe.tokenizer.encodePadded(texts), texts.length);
  return { data: last, shape: [1, LENGTH * texts.length, WIDTH] };
}

/** So many tokens, whatever the vocabulary: digits are tokens of their own. */
const digits = (count: number, first = 0) =>
  Array.from({ length: count }, (_, i) => (i + first) % 10).join(' ');
const long = digits(200);
const blocks = [digits(75), digits(75, 75), digits(50, 150)] as const;

describe('longPrompts', () => {
  test('a short prompt is what it is without', async () => {
    expect(sameBits(await latentsOf(pipe, { longPrompts: true }), await latentsOf(pipe))).toBe(true);
  });

  test('a long one is its blocks in a row, the negative prompt filled up with empty ones', async () => {
    const given = {
      promptEmbeds: await statesOf(...blocks),
      negativePromptEmbeds: await statesOf('fog', '', ''),
    };
    const expected = await latentsOf(pipe, given);
    const options = { prompt: long, negativePrompt: 'fog', longPrompts: true };
    expect(distance(await latentsOf(pipe, options), expected)).toBeLessThan(1e-6);
  });

  test('the other way round: a long negative prompt fills up the prompt', async () => {
    const given = {
      promptEmbeds: await statesOf('a cat', '', ''),
      negativePromptEmbeds: await statesOf(...blocks),
    };
    const options = { prompt: 'a cat', negativePrompt: long, longPrompts: true };
    expect(distance(await latentsOf(pipe, options), await latentsOf(pipe, given))).toBeLessThan(1e-6);
  });

  test('without guidance the negative prompt fills up nothing', async () => {
    const options = { prompt: 'a cat', guidanceScale: 1 };
    const expected = await latentsOf(pipe, options);
    expect(
      sameBits(await latentsOf(pipe, { ...options, negativePrompt: long, longPrompts: true }), expected),
    ).toBe(true);
  });

  test('is not cut off, and so not told', async () => {
    const run = { prompt: long, steps: 1, output: 'latent' } as const;
    expect((await pipe.generate(run)).notes.join()).toMatch(/prompt is too long.*cut off/);
    expect((await pipe.generate({ ...run, longPrompts: true })).notes).toEqual([]);
    expect(
      distance(await latentsOf(pipe, { prompt: long, longPrompts: true }), await latentsOf(pipe, run)),
    ).toBeGreaterThan(1e-3);
  });

  test('a batch with one seed each is padded to the longest', async () => {
    const batch = { prompt: [long, 'a cat'], seeds: [1, 2], longPrompts: true, numImages: 1 };
    const { tensor } = await pipe.generate({ ...batch, steps: 3, output: 'latent' });
    const latents = tensor?.data as Float32Array;
    const first = await latentsOf(pipe, { prompt: long, seed: 1, longPrompts: true });
    const second = await latentsOf(pipe, {
      promptEmbeds: await statesOf('a cat', '', ''),
      negativePromptEmbeds: await statesOf('', '', ''),
      seed: 2,
    });
    expect(distance(imageOf(latents, 0, 2), first)).toBeLessThan(1e-5);
    expect(distance(imageOf(latents, 1, 2), second)).toBeLessThan(1e-5);
  });

  test('goes with embeddings of whole blocks', async () => {
    const promptEmbeds = await statesOf(...blocks);
    const expected = await latentsOf(pipe, {
      promptEmbeds,
      negativePromptEmbeds: await statesOf('fog', '', ''),
    });
    const options = { promptEmbeds, negativePrompt: 'fog' };
    expect(distance(await latentsOf(pipe, { ...options, longPrompts: true }), expected)).toBeLessThan(1e-6);
    for (const wrong of [options, { promptEmbeds, negativePrompt: digits(300), longPrompts: true }]) {
      const error = await rejection(pipe.generate({ ...wrong, steps: 1 }));
      expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
      expect(error.message).toMatch(/^negativePromptEmbeds must be given: promptEmbeds has 231 tokens/);
    }
  });

  test('with a cache, and then a short prompt again', async () => {
    const expected = await latentsOf(pipe);
    const cached = await latentsOf(pipe, { prompt: long, longPrompts: true, cache: { interval: 2 } });
    expect(cached.every(Number.isFinite)).toBe(true);
    expect(sameBits(await latentsOf(pipe), expected)).toBe(true);
  });
});

describe('promptWeighting', () => {
  test('a prompt without brackets, or with weights of 1, is what it is without', async () => {
    const expected = await latentsOf(pipe);
    expect(sameBits(await latentsOf(pipe, { promptWeighting: true }), expected)).toBe(true);
    for (const prompt of ['(a lighthouse:1)', '(a:1.0) (lighthouse:1)', '[(a:1.1)] lighthouse']) {
      const latents = await latentsOf(pipe, { prompt, promptWeighting: true });
      expect(distance(latents, expected)).toBeLessThan(1e-6);
    }
  });

  test('states are multiplied, and the mean of the block is kept', async () => {
    const { data, shape } = await statesOf('9 8 7');
    const weighted = data.map((value, i) => value * (Math.floor(i / WIDTH) === 2 ? 1.5 : 1));
    const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const kept = weighted.map((value) => (value * mean(data)) / mean(weighted));
    const expected = await latentsOf(pipe, { promptEmbeds: { data: kept, shape } });
    const latents = await latentsOf(pipe, { prompt: '9 (8:1.5) 7', promptWeighting: true });
    expect(distance(latents, expected)).toBeLessThan(1e-5);
    expect(distance(latents, await latentsOf(pipe, { prompt: '9 8 7' }))).toBeGreaterThan(1e-4);
  });

  test('brackets are text without the option', async () => {
    const plain = await latentsOf(pipe, { prompt: '9 (8:1.5) 7' });
    const escaped = await latentsOf(pipe, { prompt: '9 \\(8:1.5\\) 7', promptWeighting: true });
    expect(sameBits(escaped, plain)).toBe(true);
  });

  test('weighs the negative prompt too', async () => {
    const [a, b] = [
      await latentsOf(pipe, { negativePrompt: '(9:1.8) 8', promptWeighting: true }),
      await latentsOf(pipe, { negativePrompt: '9 8', promptWeighting: true }),
    ];
    expect(distance(a, b)).toBeGreaterThan(1e-4);
  });

  test('goes with long prompts, each block keeping its own mean', async () => {
    const prompt = `${digits(75)} (9:1.5) 8`;
    const latents = await latentsOf(pipe, { prompt, promptWeighting: true, longPrompts: true });
    const plain = await latentsOf(pipe, { prompt: `${digits(75)} 9 8`, longPrompts: true });
    const first = await latentsOf(pipe, { prompt: digits(75), longPrompts: true });
    const distances = [plain, first].map((other) => distance(latents, other));
    expect(Math.min(...distances)).toBeGreaterThan(1e-5);
  });

  test('is named in the settings of the file', async () => {
    const { images } = await pipe.generate({
      prompt: '(9:1.5)',
      steps: 1,
      promptWeighting: true,
      longPrompts: true,
    });
    expect(images[0]?.metadata.parameters).toMatch(/Long prompts: true, Prompt weighting: true/);
  });
});

test('of many prompts that are too long, the notes quote a few', async () => {
  const prompt = new Array(20).fill('cat '.repeat(100));
  const { notes } = await pipe.generate({ prompt, steps: 1, output: 'latent' });
  expect(notes).toHaveLength(4);
  expect(notes[2]).toMatch(/^prompt\[2\] is too long, this was cut off: ".*cat cat/);
  expect(notes[3]).toBe('17 more of the texts in prompt are too long and were cut off');
});
