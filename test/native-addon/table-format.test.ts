import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { native } from '../../lib/native/binding.js';
import type { NativeUnet } from '../../lib/native/types.js';
import { type StepRow, type StepTable, TABLE_LIMITS } from '../../lib/schedulers/table.js';
import { errorOf } from './rejects.js';
import { denoiseRequest, loadUnet, row } from './tiny-model.js';

let unet: NativeUnet;
beforeAll(async () => {
  unet = await loadUnet();
});
afterAll(() => unet.dispose());

test('the limits of a table are the same on both sides', () => {
  expect(native().tableLimits).toEqual(TABLE_LIMITS);
});

/** Every field that a row may have: the compiler asks for one that is added here too. */
type Whole<T> = T extends readonly (infer E)[]
  ? readonly Whole<E>[]
  : T extends object
    ? { [K in keyof T]-?: Whole<NonNullable<T[K]>> }
    : T;

const WHOLE: Whole<StepRow> = {
  ...row(0),
  program: 0,
  predict: [{ slot: 'x', coefficient: 1 }],
  skip: { threshold: 0.1, maxSkips: 1, program: 0 },
  timestep: 1,
  inputScale: 1,
  featureGamma: 1,
  signal: 1,
  guidance: {
    scale: 1,
    third: 1,
    rescale: 0,
    rule: {
      kind: 'projected',
      fromConditional: false,
      eta: 1,
      limit: 0,
      momentum: 0,
      average: 's0',
      alpha: 0,
    },
  },
  x0: { x: 1, m: 1, clamp: 1, threshold: { ratio: 0.5, max: 2 } },
  assign: [{ to: 'x', terms: [{ slot: 'x', coefficient: 1 }] }],
  noise: 0,
  blend: { init: 1, noise: 1, redrawn: false },
};
/** Fields of which a row has one or the other. */
const ALTERNATIVES: Readonly<Record<string, string>> = { program: 'predict', clamp: 'threshold' };

/** The paths of a value's leaves. */
function leaves(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]));
}

/** A copy with something at the path that is neither a number nor a name. */
function spoilt(value: unknown, [key, ...rest]: string[]): unknown {
  if (key === undefined) return { not: 'a value' };
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>;
  copy[key] = spoilt(copy[key], rest);
  for (const pair of Object.entries(ALTERNATIVES)) {
    const other = pair.includes(key) ? pair.find((name) => name !== key) : undefined;
    if (other) delete copy[other];
  }
  return copy;
}

describe('the addon reads every field of a row by its name', () => {
  test.each(leaves(WHOLE).map((path) => [path.join('.'), path] as const))('%s', async (_name, path) => {
    const whole = spoilt(WHOLE, path) as Record<string, unknown>;
    if (path[0] !== 'skip') delete whole.skip;
    if (path[0] !== 'predict') delete whole.predict;
    if (path[0] !== 'x0') whole.x0 = { x: 1, m: 1 };
    const table = { programs: [{ kind: 'full' }], rows: [row(0), whole] } as unknown as StepTable;
    const error = await errorOf(() => unet.denoise({ ...denoiseRequest(1), table }));
    const place = path.map((key) => (/^\d+$/.test(key) ? `[${key}]` : `.${key}`)).join('');
    expect(error.message).toContain(`rows[1]${place} must be`);
  });
});
