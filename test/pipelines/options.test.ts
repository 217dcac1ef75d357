import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { DeepCacheErrorCode, GenerateOptions, StableDiffusionPipeline } from '../../lib/index.js';
import { LATENT, latentsOf, loadTiny, rejection, sameBits, untyped } from './tiny.js';

// Every option with values that it does not take. The error must name it, and the pipeline must work on.

interface Wrong {
  options: object;
  /** ERR_DEEPCACHE_INVALID_ARGUMENT by default. */
  code?: DeepCacheErrorCode;
  /** What the message contains instead of the option's name. */
  says?: string;
}

const floats = (count: number, value = 0) => new Float32Array(count).fill(value);
const tensor = (shape: number[], value = 0) => ({
  data: floats(
    shape.reduce((a, b) => a * b),
    value,
  ),
  shape,
});
const embeds = tensor([1, 77, 32]);
const withEmbeds = { prompt: undefined, promptEmbeds: embeds };

/** One case for each value. */
const values = (name: string, ...list: unknown[]): Wrong[] =>
  list.map((value) => ({ options: { [name]: value } }));
const all = (...list: object[]): Wrong[] => list.map((options) => ({ options }));

/** Each option of GenerateOptions must be here: a new one without a case does not compile. */
const WRONG: { [Name in keyof Required<GenerateOptions>]: readonly Wrong[] } = {
  prompt: [...values('prompt', undefined, null, 5, {}, [], ['a', 5], [['a']], Symbol('a'))],
  negativePrompt: values('negativePrompt', 5, {}, [], ['a', 'b'], [null]),
  steps: values('steps', 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '20', 10n, 1001, 2 ** 40),
  numInferenceSteps: all(
    { steps: undefined, numInferenceSteps: 0 },
    { steps: undefined, numInferenceSteps: Number.NaN },
    { steps: 3, numInferenceSteps: 4 },
  ),
  guidanceScale: values('guidanceScale', Number.NaN, -1, Number.POSITIVE_INFINITY, '7.5', null, [7]),
  guidanceRescale: values('guidanceRescale', Number.NaN, -0.1, 1.1, '0.7', true),
  guidanceSchedule: values('guidanceSchedule', 7, [], ['7'], [-1], [1001], [7, 7, 7, 7, 7, 7, 7, 7, 7]),
  cutoffStepIndex: [
    ...values('cutoffStepIndex', -1, 1.5, '1', 999),
    ...all({ cutoffStepIndex: 0, guidanceScale: 1 }),
  ],
  hiresFix: [
    ...values('hiresFix', true, 2, null, { scale: 1 }, { strength: 0.01 }, { upscaler: 5 }, { size: 2 }),
    ...all({ hiresFix: { scale: 8 }, width: 4096 }),
  ],
  upscale: [
    ...values('upscale', true, 2, null, '', { scale: 2 }, { upscaler: 'x4.pth', scale: 0.5 }),
    ...all({ upscale: 'x4.pth', output: 'latent' }),
  ],
  cutoffStepRatio: values('cutoffStepRatio', -0.1, 1.1, Number.NaN, '0.5'),
  distilled: values('distilled', 'LCM', '', null, 4),
  guider: [...values('guider', 'adg', null), ...all({ guider: 'apg', guidanceScale: 1 })],
  guiderOptions: [
    ...values('guiderOptions', null, 'eta', { eta: '1' }, { eta: 0 }),
    ...all({ guider: 'tcfg', guiderOptions: { eta: 0 } }),
  ],
  pagScale: [...values('pagScale', -1, Number.NaN, '3'), ...all({ pagScale: 3, guider: 'apg' })],
  pagAdaptiveScale: all({ pagScale: 3, pagAdaptiveScale: -1 }),
  pagAppliedLayers: all(
    { pagScale: 3, pagAppliedLayers: '(' },
    { pagScale: 3, pagAppliedLayers: 'other_block' },
  ),
  sagScale: [...values('sagScale', -1, Number.NaN, '1', [1]), ...all({ sagScale: 1, pagScale: 3 })],
  freeU: values('freeU', true, {}, { b1: 1, b2: 1, s1: 1, s2: 101 }),
  controlImage: values('controlImage', null, 5, {}, []),
  controlMode: values('controlMode', '3', -1, 1.5, null, [null]),
  controlPreprocess: values('controlPreprocess', 'edges', null, []),
  controlResize: values('controlResize', 'cover', null),
  controlScale: values('controlScale', Number.NaN, '1', [], 11),
  controlStart: values('controlStart', Number.NaN, -0.1, 1.1, []),
  controlEnd: values('controlEnd', Number.NaN, -0.1, 1.1, []),
  guessMode: values('guessMode', 1, 'true', null),
  controlCache: values('controlCache', 'none', true, null),
  t2iAdapterImage: values('t2iAdapterImage', null, 5, {}, []),
  t2iAdapterScale: values('t2iAdapterScale', Number.NaN, '1', [], 11),
  t2iAdapterFactor: values('t2iAdapterFactor', Number.NaN, -0.1, 1.1, [1]),
  width: values('width', 0, -64, 12, 63, 64.5, Number.NaN, '64', 1e9, null),
  height: values('height', 0, -64, 12, 65, 64.5, Number.NaN, '64', 1e9, null),
  seed: [
    ...values('seed', 1.5, Number.NaN, '1', null, {}, 2 ** 53, 2n ** 64n, -(2n ** 63n) - 1n),
    ...all({ seed: 1, seeds: [1] }),
  ],
  seeds: all(
    ...[5, 'ab', null, [], [1, 2], [1.5], ['1'], [null], [2n ** 64n]].map((seeds) => ({
      seeds,
      seed: undefined,
    })),
    { seeds: [1], seed: undefined, numImages: 2 },
    { seeds: [1, 2, Number.NaN], seed: undefined, numImages: 3 },
  ),
  numImages: values('numImages', 0, -1, 1.5, Number.NaN, '2', 1025),
  numImagesPerPrompt: all(
    { numImagesPerPrompt: 0 },
    { numImagesPerPrompt: 1.5 },
    { numImages: 1, numImagesPerPrompt: 2 },
  ),
  latents: values(
    'latents',
    5,
    {},
    floats(LATENT),
    tensor([1, 4, 8, 16]),
    tensor([2, 4, 8, 8]),
    tensor([4, 8, 8]),
    tensor([1, 4, 8, 8], Number.NaN),
    { data: floats(LATENT - 1), shape: [1, 4, 8, 8] },
    { data: new Float64Array(LATENT), shape: [1, 4, 8, 8] },
    { data: floats(LATENT), shape: '1,4,8,8' },
  ),
  promptEmbeds: all(
    { promptEmbeds: embeds },
    ...[
      5,
      {},
      floats(77 * 32),
      tensor([77, 32]),
      tensor([1, 77, 33]),
      tensor([1, 0, 32]),
      tensor([1, 77, 32], Infinity),
    ].map((promptEmbeds) => ({ prompt: undefined, promptEmbeds })),
    { prompt: undefined, promptEmbeds: { data: floats(5), shape: [1, 77, 32] } },
    { prompt: undefined, promptEmbeds: { data: floats(0), shape: [0, 77, 32] } },
    { prompt: undefined, promptEmbeds: { data: floats(77 * 32), shape: [1.5, 77, 32] } },
  ),
  negativePromptEmbeds: all(
    { negativePromptEmbeds: embeds },
    { ...withEmbeds, negativePrompt: 'a', negativePromptEmbeds: embeds },
    ...[5, {}, tensor([1, 76, 32]), tensor([2, 77, 32]), tensor([1, 77, 32], Number.NaN)].map(
      (negativePromptEmbeds) => ({ ...withEmbeds, negativePromptEmbeds }),
    ),
    // The empty prompt has 77 tokens and does not go with another length.
    { prompt: undefined, promptEmbeds: tensor([1, 10, 32]) },
  ),
  clipSkip: values('clipSkip', -1, 3, 1.5, Number.NaN, '1', null),
  longPrompts: [
    ...values('longPrompts', 1, 'true', null, {}),
    { options: { longPrompts: true, prompt: 'a BREAK '.repeat(900) }, says: 'prompt takes more than' },
  ],
  ipAdapterImage: values('ipAdapterImage', null, 5, {}, [], [[]], ['a', 5], 'a.png'),
  ipAdapterImageEmbeds: [
    ...values('ipAdapterImageEmbeds', null, 5, {}, [], [5], tensor([1, 24])),
    ...all({ ipAdapterImage: 'a.png', ipAdapterImageEmbeds: tensor([1, 24]) }),
  ],
  ipAdapterScale: values('ipAdapterScale', Number.NaN, '1', null, [], { left: 1 }, { down: { block_0: [] } }),
  loraSyntax: values('loraSyntax', 0, 'yes', null, []),
  promptWeighting: [
    ...values('promptWeighting', 0, 'compel', null, []),
    { options: { promptWeighting: true, prompt: '(a:101)' }, says: 'prompt has the weight 101' },
    {
      options: { promptWeighting: true, prompt: ['a', '((b:50):-50)'] },
      says: 'prompt[1] has the weight -2500',
    },
    {
      options: { promptWeighting: true, negativePrompt: `${'('.repeat(60)}a` },
      says: 'negativePrompt has the weight',
    },
  ],
  eta: values('eta', -0.1, 1.1, Number.NaN, '0', null),
  cache: [
    ...values('cache', 'turbo', '', 3, true, null, [], [0, 2], {}),
    ...[
      { interval: 0 },
      { interval: -1 },
      { interval: 1.5 },
      { interval: Number.NaN },
      { interval: '3' },
      { interval: 2, branch: 12 },
      { interval: 2, branch: -1 },
      { interval: 2, branch: 0.5 },
      { interval: 2, schedule: 'random' },
      { interval: 2, counter: 'paper' },
      { interval: 2, counter: 'helper', schedule: 'nonuniform' },
      { interval: 2, center: 1 },
      { interval: 2, power: 2 },
      { interval: 2, schedule: 'nonuniform', power: 0 },
      { interval: 2, schedule: 'nonuniform', power: Number.NaN },
      { interval: 2, schedule: 'nonuniform', center: -1 },
      { interval: 2, schedule: 'nonuniform', center: Number.NaN },
      { intervall: 2 },
      { interval: 2, steps: [0] },
      { steps: [] },
      { steps: [0, 99] },
      { steps: [2, 1] },
      { steps: [1, 1] },
      { steps: [0, 1.5] },
      { steps: 'all' },
    ].map((cache) => ({ options: { cache } })),
  ],
  scheduler: [
    ...values('scheduler', 5, true, null, []),
    { options: { scheduler: { beta_strat: 0.1 } }, says: 'beta_strat' },
    { options: { scheduler: 'Nope' }, code: 'ERR_DEEPCACHE_UNSUPPORTED' },
    { options: { scheduler: '' } },
    { options: { scheduler: { beta_start: 'x' } }, says: 'scheduler: PNDMScheduler: beta_start' },
  ],
  schedulerOptions: [
    ...values('schedulerOptions', 5, 'sChurn', null, [1]),
    ...[{ sChurn: 1 }, { zzz: 1 }, { eta: 1 }].map((schedulerOptions) => ({ options: { schedulerOptions } })),
    ...[
      ['Euler', { sChurn: -1 }],
      ['Euler', { sTmin: Number.NaN }],
      ['Euler', { sTmax: '1' }],
      ['Euler', { sNoise: null }],
      ['Euler', { order: 1 }],
      ['DDIM', { useClippedModelOutput: 1 }],
      ['LMS', { order: 9 }],
      ['LCM', { originalInferenceSteps: 0 }],
      ['LCM', { strength: 2 }],
    ].map(([scheduler, schedulerOptions]) => ({ options: { scheduler, schedulerOptions } })),
  ],
  timesteps: all(
    ...[5, 'all', [], [1, 500], [500, 500], [Number.NaN], [1000], [-1], ['5']].map((timesteps) => ({
      scheduler: 'LCM',
      steps: undefined,
      timesteps,
    })),
    { steps: undefined, timesteps: [900, 500] }, // PNDM takes none
  ),
  sigmas: all(
    ...[5, 'all', [], [1, 5], [Number.NaN], [-1], ['5']].map((sigmas) => ({
      scheduler: 'Euler',
      steps: undefined,
      sigmas,
    })),
    { steps: undefined, sigmas: [10, 5] },
  ),
  vaeTiling: [
    ...values('vaeTiling', 1, 'yes', null, [64, 16]),
    ...[
      { tile: 64 },
      { tileSize: 0 },
      { tileSize: 24 },
      { tileSize: 60 },
      { tileSize: 64.5 },
      { tileSize: '64' },
      { tileSize: 2 ** 20 },
      { overlap: -8 },
      { overlap: 12 },
      { overlap: 40 },
      { overlap: Number.NaN },
      { tileSize: 128, overlap: 72 },
    ].map((vaeTiling) => ({ options: { vaeTiling } })),
  ],
  output: values('output', 'png', '', 5, {}),
  onStep: values('onStep', 5, 'log', {}, null),
  previewEvery: values('previewEvery', 0, -1, 1.5, Number.NaN, '1'),
  latentsEvery: values('latentsEvery', 0, -1, 1.5, Number.NaN, '1'),
  signal: values('signal', 5, {}, 'stop', null, { addEventListener() {} }),
};

let pipe: StableDiffusionPipeline;
let expected: Float32Array;
beforeAll(async () => {
  pipe = await loadTiny();
  expected = await latentsOf(pipe);
});
afterAll(() => pipe.dispose());

const cases = Object.entries(WRONG).flatMap(([name, list]) =>
  list.map((wrong) => ({ name, given: describeOptions(wrong.options), ...wrong })),
);

test.each(cases)(
  '$name: $given',
  async ({ name, options, code = 'ERR_DEEPCACHE_INVALID_ARGUMENT', says = name }) => {
    let steps = 0;
    const onStep = () => {
      steps++;
    };
    const all = { prompt: 'a lighthouse', steps: 3, seed: 7, output: 'latent', onStep, ...options };
    const error = await rejection(pipe.generate(untyped(all)));
    expect(error).toMatchObject({ name: 'DeepCacheError', code });
    expect(error.message).toContain(says);
    expect(steps).toBe(0);
    expect(sameBits(await latentsOf(pipe), expected)).toBe(true);
  },
);

test.each([undefined, null, 5, 'a lighthouse'])('options %p', async (options) => {
  const error = await rejection(pipe.generate(options as unknown as GenerateOptions));
  expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
  expect(error.message).toContain('options');
});

test('an option that does not exist is named, with the one that was meant or with all that do', async () => {
  const error = await rejection(pipe.generate(untyped({ prompt: 'a', guidance_scale: 7 })));
  expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
  expect(error.message).toBe('guidance_scale is not an option; did you mean guidanceScale?');
  const { message } = await rejection(pipe.generate(untyped({ prompt: 'a', zzzzzzzzzz: 7 })));
  expect(message).toContain('zzzzzzzzzz');
  for (const name of Object.keys(WRONG)) expect(message).toContain(name);
});

describe('aliases', () => {
  test('numInferenceSteps is steps', async () => {
    expect(
      sameBits(await latentsOf(pipe, { steps: undefined, numInferenceSteps: 3 } as object), expected),
    ).toBe(true);
    expect(sameBits(await latentsOf(pipe, { steps: 3, numInferenceSteps: 3 }), expected)).toBe(true);
    const { stats } = await pipe.generate({
      prompt: 'a',
      scheduler: 'DDIM',
      numInferenceSteps: 4,
      output: 'latent',
    });
    expect(stats.calls).toBe(4);
  });

  test('numImagesPerPrompt is numImages', async () => {
    const twice = await latentsOf(pipe, { numImagesPerPrompt: 2 });
    expect(twice).toHaveLength(2 * LATENT);
    expect(sameBits(twice, await latentsOf(pipe, { numImages: 2 }))).toBe(true);
  });
});

test('the options object is not changed', async () => {
  const options = Object.freeze({ prompt: 'a', steps: 2, seed: 1, output: 'latent' as const });
  await pipe.generate(options);
  await pipe.generate(options);
});

function describeOptions(options: object): string {
  const show = (value: unknown): string => {
    if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${(value as Float32Array).length})`;
    if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
    if (typeof value === 'object' && value !== null) return describeOptions(value);
    if (typeof value === 'string') return JSON.stringify(value);
    return typeof value === 'bigint' ? `${value}n` : String(value);
  };
  return `{ ${Object.entries(options)
    .map(([key, value]) => `${key}: ${show(value)}`)
    .join(', ')} }`;
}
