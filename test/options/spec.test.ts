import { describe, expect, test } from '@jest/globals';
import { flagsOf, optionsOfFlags } from '../../lib/cli/flags.js';
import { Image } from '../../lib/index.js';
import { checkOptions } from '../../lib/options/check.js';
import { FAMILIES, type Family } from '../../lib/options/families.js';
import { entries, OPTIONS, type OptionName, optionsOf } from '../../lib/options/spec/index.js';
import { WRONG } from './wrong.js';

const picture = new Image({ width: 8, height: 8, data: new Uint8Array(192) });

/** Options that a family takes, with all that it needs. */
const RIGHT: { readonly [Name in Family]: object } = {
  text2img: { prompt: 'a' },
  img2img: { prompt: 'a', image: picture },
  inpaint: { prompt: 'a', image: picture, maskImage: picture },
  pix2pix: { prompt: 'a', image: picture },
  depth2img: { prompt: 'a', image: picture, depthMap: picture },
  x4: { prompt: 'a', image: picture },
  xl: { prompt: 'a' },
  'xl-img2img': { prompt: 'a', image: picture },
  'xl-inpaint': { prompt: 'a', image: picture, maskImage: picture },
  svd: { image: picture },
  zero: { prompt: 'a' },
  animatediff: { prompt: 'a' },
  ddpm: {},
  ldm: { classLabels: 1 },
  load: {},
};

const families = Object.keys(FAMILIES) as Family[];

function thrown(work: () => unknown): { code?: string; message: string } {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

const cases = families.flatMap((family) =>
  optionsOf(family).flatMap(([name]) => WRONG[name].map((value, i) => ({ family, name, value, i }))),
);

test.each(families)('%s: what it needs is enough', (family) => {
  expect(() => checkOptions(family, RIGHT[family])).not.toThrow();
});

test.each(cases)('$family: a wrong $name, case $i', ({ family, name, value }) => {
  const error = thrown(() => checkOptions(family, { ...RIGHT[family], [name]: value }));
  expect(error).toMatchObject({ name: 'DeepCacheError', code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
  expect(error.message).toMatch(new RegExp(`^${name}\\b`));
});

test('every option has wrong values, and belongs to somebody', () => {
  for (const [name, { families, help }] of entries) {
    expect([name, WRONG[name].length > 0, families.length > 0, help.length > 0]).toEqual([
      name,
      true,
      true,
      true,
    ]);
  }
});

describe('names', () => {
  test.each(families)('%s: an option of others is refused, and whose it is is told', (family) => {
    for (const [name, option] of entries) {
      if ((option.families as readonly Family[]).includes(family)) continue;
      const { message } = thrown(() => checkOptions(family, { ...RIGHT[family], [name]: 1 }));
      expect(message).toMatch(new RegExp(`^${name} is not an option`));
    }
  });

  test('what is meant is guessed', () => {
    const { message } = thrown(() => checkOptions('text2img', { prompt: 'a', stepz: 3 }));
    expect(message).toBe('stepz is not an option; did you mean steps?');
    const other = thrown(() => checkOptions('zero', { prompt: 'a', previewEvery: 3 })).message;
    expect(other).toBe(
      'previewEvery is not an option of Text2Video-Zero; it is one of Stable Diffusion, SDXL and AnimateDiff',
    );
  });

  test('other names and rules are of options that there are', () => {
    for (const [, { aliasOf, excludes = [], needs, instead }] of entries) {
      for (const name of [aliasOf, ...excludes, needs?.name, instead]) {
        if (name !== undefined) expect(Object.keys(OPTIONS)).toContain(name);
      }
    }
  });
});

describe('rules', () => {
  const ruled = entries.flatMap(([name, { families, excludes = [] }]) =>
    excludes.map((other) => {
      const others: readonly Family[] = OPTIONS[other as OptionName].families;
      // One that takes both.
      const family = families.find((one) => others.includes(one)) as Family;
      return { name, other: other as OptionName, family };
    }),
  );
  const tensor = (...shape: number[]) => ({ data: new Float32Array(shape.reduce((a, b) => a * b)), shape });
  const SOME: { readonly [Name in OptionName]?: unknown } = {
    seeds: [1],
    hiresFix: {},
    denoisingEnd: 0.5,
    paddingMaskCrop: 32,
    t2iAdapterImage: 'a.png',
    ipAdapterImage: 'a.png',
    ipAdapterImageEmbeds: tensor(1, 24),
    cutoffStepIndex: 1,
    cutoffStepRatio: 0.5,
    seed: 1,
    timesteps: [1],
    sigmas: [1],
    prompt: 'a',
    promptEmbeds: tensor(1, 77, 8),
    negativePrompt: 'a',
    negativePromptEmbeds: tensor(1, 77, 8),
  };

  test.each(ruled)('$name and $other', ({ name, other, family }) => {
    const both = { [name]: SOME[name], [other]: SOME[other] };
    const { message } = thrown(() => checkOptions(family, { ...RIGHT[family], ...both }));
    expect(message).toBe(`${name} and ${other} exclude each other`);
  });

  test('what is required, or stands in its place', () => {
    expect(thrown(() => checkOptions('text2img', {})).message).toBe('prompt is missing');
    expect(() => checkOptions('text2img', { promptEmbeds: tensor(1, 77, 8) })).not.toThrow();
    expect(thrown(() => checkOptions('ldm', {})).message).toMatch(/^classLabels is missing: say which/);
  });

  test('another name is resolved', () => {
    expect(checkOptions('text2img', { prompt: 'a', numInferenceSteps: 3 })).toEqual({
      prompt: 'a',
      steps: 3,
    });
    const two = { prompt: 'a', numInferenceSteps: 3, steps: 4 };
    expect(thrown(() => checkOptions('text2img', two)).message).toMatch(/^numInferenceSteps is another name/);
  });
});

describe('flags', () => {
  const groups = ['make', 'picture', 'how', 'tensor', 'model', 'output'] as const;

  test('each has its own name, and a help text', () => {
    const flags = groups.flatMap((group) => flagsOf(group));
    expect(new Set(flags.map(({ long }) => long)).size).toBe(flags.length);
    for (const { description } of flags) expect(description).not.toBe('');
  });

  test('become the options of a family, under their names there', () => {
    expect(optionsOfFlags('zero', { frames: 3, prompt: ['a'], keepOriginal: true })).toEqual({
      videoLength: 3,
      prompt: ['a'],
    });
    expect(optionsOfFlags('ddpm', { numImages: 3 })).toEqual({ batchSize: 3 });
    expect(optionsOfFlags('text2img', { vaeTiling: 64 })).toEqual({ vaeTiling: { tileSize: 64 } });
    expect(optionsOfFlags('load', { threads: 1, prompt: ['a'] })).toEqual({ threads: 1 });
  });

  test('of other families are refused', () => {
    const { message } = thrown(() => optionsOfFlags('ddpm', { prompt: ['a'] }));
    expect(message).toBe('prompt does not apply to DDPM; it is for models of text');
  });
});
