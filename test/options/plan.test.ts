import { describe, expect, test } from '@jest/globals';
import { classOf } from '../../lib/cli/family.js';
import { Image } from '../../lib/index.js';
import { FAMILIES, type Family } from '../../lib/options/families.js';
import type { AnyFamily } from '../../lib/pipelines/family.js';
import type { ModelFacts } from '../../lib/pipelines/loading/facts.js';
import { findPipeline } from '../../lib/pipelines/loading/registry.js';
import { checkRun } from '../../lib/pipelines/run.js';
import {
  DDIMScheduler,
  EulerDiscreteScheduler,
  LCMScheduler,
  LMSDiscreteScheduler,
  type Scheduler,
} from '../../lib/schedulers/index.js';

// What depends on the sampler and the U-Net is refused with no model at all: facts are enough.

const FACTS: ModelFacts = {
  sampleWidth: 64,
  sampleHeight: 64,
  channels: 4,
  scale: 8,
  tileSize: 512,
  contextWidth: 32,
  levels: 4,
  layersPerBlock: 2,
  guidanceWidth: 0,
  textLayers: 12,
  pooledWidth: 16,
  frames: 14,
  classes: 1000,
};

const picture = new Image({ width: 64, height: 64, data: new Uint8Array(64 * 64 * 3) });
const masked = { prompt: 'a', image: picture, maskImage: picture };
const RIGHT: { readonly [Name in Exclude<Family, 'load'>]: object } = {
  text2img: { prompt: 'a' },
  img2img: { prompt: 'a', image: picture },
  inpaint: masked,
  pix2pix: { prompt: 'a', image: picture },
  depth2img: { prompt: 'a', image: picture, depthMap: picture, strength: 1 },
  x4: { prompt: 'a', image: picture },
  xl: { prompt: 'a' },
  'xl-img2img': { prompt: 'a', image: picture, strength: 1 },
  'xl-inpaint': masked,
  svd: { image: picture },
  zero: { prompt: 'a' },
  animatediff: { prompt: 'a' },
  ddpm: {},
  ldm: { classLabels: 1 },
};
const families = Object.keys(RIGHT) as (keyof typeof RIGHT)[];

const sampler = new DDIMScheduler();
const check = (family: keyof typeof RIGHT, options: object, own: Scheduler = sampler) =>
  checkRun(
    findPipeline(classOf(family))?.family as AnyFamily,
    { ...RIGHT[family], steps: 20, ...options },
    FACTS,
    own,
  );

function thrown(work: () => unknown): { code?: string; message: string } {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

test.each(families)('%s: what it needs is enough', (family) => {
  expect(FAMILIES[family]).not.toBe('');
  expect(() => check(family, {})).not.toThrow();
  expect(() => check(family, { cache: { interval: 3, branch: 11 } })).not.toThrow();
});

const { NaN: nan } = Number;
/** Every field of the cache, and whether it fits the run's 20 calls and the U-Net's 12 branches. */
const CACHES: readonly (readonly [field: string, cache: unknown])[] = [
  ...[0, -1, 1.5, nan, '3', null].map((interval) => ['cache.interval', { interval }] as const),
  ...[12, -1, 0.5, '1', null].map((branch) => ['cache.branch', { interval: 2, branch }] as const),
  ...['random', 5, null].map((schedule) => ['cache.schedule', { interval: 2, schedule }] as const),
  ...['paper', 5, null].map((counter) => ['cache.counter', { interval: 2, counter }] as const),
  ...[-1, 1.5, 21, '3', nan].map(
    (center) => ['cache.center', { interval: 2, schedule: 'nonuniform', center }] as const,
  ),
  ...[0, 1, nan, 101, '2'].map(
    (power) => ['cache.power', { interval: 2, schedule: 'nonuniform', power }] as const,
  ),
  ...['all', [], [2, 1], [1, 1], 5].map((steps) => ['cache.steps', { steps }] as const),
  ...[20, 99, -1, 1.5].map((step) => ['cache.steps[1]', { steps: [0, step] }] as const),
  ['cache.center', { interval: 2, center: 1 }],
  ['cache.power', { interval: 2, power: 2 }],
  ['cache.interval', { interval: 2, steps: [0] }],
  ['cache.counter', { interval: 2, counter: 'helper', schedule: 'nonuniform' }],
  ['cache.intervall', { intervall: 2 }],
  ['cache', {}],
];

test.each(families.flatMap((family) => CACHES.map(([field, cache], i) => ({ family, field, cache, i }))))(
  '$family: a wrong $field, case $i',
  ({ family, field, cache }) => {
    // Image to image: all steps are calls.
    const error = thrown(() => check(family, { cache, ...('strength' in RIGHT[family] && { strength: 1 }) }));
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
    expect(error.message.startsWith(`${field} `)).toBe(true);
  },
);

describe("the sampler's own options", () => {
  const SAMPLERS = {
    sChurn: new EulerDiscreteScheduler(),
    sTmin: new EulerDiscreteScheduler(),
    sTmax: new EulerDiscreteScheduler(),
    sNoise: new EulerDiscreteScheduler(),
    useClippedModelOutput: sampler,
    order: new LMSDiscreteScheduler(),
    originalInferenceSteps: new LCMScheduler(),
    strength: new LCMScheduler(),
  };
  const WRONG = { useClippedModelOutput: 1, order: 9, originalInferenceSteps: 0, strength: 2 };
  const names = Object.keys(SAMPLERS) as (keyof typeof SAMPLERS)[];

  test.each(families.flatMap((family) => names.map((name) => ({ family, name }))))(
    '$family: $name',
    ({ family, name }) => {
      const wrong = {
        ...{ [name]: -1 },
        ...(name in WRONG && { [name]: WRONG[name as keyof typeof WRONG] }),
      };
      const error = thrown(() => check(family, { schedulerOptions: wrong }, SAMPLERS[name]));
      expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
      expect(error.message).toMatch(new RegExp(`^schedulerOptions.${name} must be `));
    },
  );

  test('of another sampler are refused, with those that there are', () => {
    expect(thrown(() => check('text2img', { schedulerOptions: { sChurn: 1 } })).message).toBe(
      'schedulerOptions.sChurn does not apply to DDIMScheduler, which has useClippedModelOutput',
    );
    const euler = SAMPLERS.sChurn;
    expect(thrown(() => check('text2img', { schedulerOptions: { s_churn: 1 } }, euler)).message).toBe(
      'schedulerOptions.s_churn is not an option of EulerDiscreteScheduler; did you mean sChurn?',
    );
  });
});

test('steps and lists that the sampler does not take', () => {
  expect(thrown(() => check('text2img', { steps: 1001 })).message).toMatch(/^steps must not be more/);
  const list = { steps: undefined, timesteps: [1, 500] };
  expect(thrown(() => check('text2img', list)).message).toMatch(/^timesteps must go from high to low/);
  expect(thrown(() => check('text2img', { steps: undefined, sigmas: [5, 1] })).message).toMatch(/^sigmas of/);
  expect(thrown(() => check('zero', { t1: 19 })).message).toMatch(/^t1 must be/);
});

test('tensors of another shape than the run has', () => {
  const tensor = (...shape: number[]) => ({
    data: new Float32Array(shape.reduce((a, b) => a * b)),
    shape,
  });
  const cases: [keyof typeof RIGHT, string, object][] = [
    ['text2img', 'latents', tensor(1, 4, 64, 32)],
    ['svd', 'latents', tensor(1, 14, 4, 72, 64)],
    ['svd', 'imageNoise', tensor(1, 3, 8, 8)],
    ['zero', 'forwardNoise', tensor(1, 4, 64, 64)],
    ['ddpm', 'latents', tensor(2, 4, 64, 64)],
    ['ldm', 'latents', tensor(1, 4, 32, 64)],
    ['xl', 'promptEmbeds', tensor(1, 77, 31)],
  ];
  for (const [family, name, value] of cases) {
    const prompt = name === 'promptEmbeds' ? { prompt: undefined } : {};
    const error = thrown(() => check(family, { ...prompt, [name]: value }));
    expect(error.message).toMatch(new RegExp(`^${name} must have shape`));
  }
});
