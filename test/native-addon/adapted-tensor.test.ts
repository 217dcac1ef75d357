import { afterAll, describe, expect, test } from '@jest/globals';
import type { AdapterTerm } from '../../lib/native/adapter-terms.js';
import { native } from '../../lib/native/binding.js';
import type { TensorSource } from '../../lib/native/types.js';
import { AdapterFolder, product, values } from '../adapters/adapter-files.js';
import { type Any, rejects } from './rejects.js';

// A weight with adapters, from the places of its values alone.

const { adaptedTensor, SafetensorsFile } = native();
const [ROWS, COLUMNS, RANK] = [600, 700, 4];

const folder = new AdapterFolder();
afterAll(() => folder.remove());

const written = {
  weight: values([ROWS, COLUMNS], 1, 1),
  turned: values([COLUMNS, ROWS], 5, 1),
  up: values([ROWS, RANK], 2),
  down: values([RANK, COLUMNS], 3),
};
const file = folder.write('tensors.safetensors', written);
const places = new Map(
  new SafetensorsFile(file).tensors.map((tensor) => [tensor.name, { ...tensor, file }] as const),
);
const place = (name: string) => places.get(name) as TensorSource;
const weight = place('weight');
const term: AdapterTerm = {
  kind: 'lora',
  scale: 0.5,
  factor: 2,
  tensors: { up: place('up'), down: place('down') },
};
const compute = (tensor: Any, terms: Any) => adaptedTensor(tensor, terms);

/** The largest difference. */
function error(actual: Float32Array, expected: (i: number) => number): number {
  return actual.reduce((most, value, i) => Math.max(most, Math.abs(value - expected(i))), 0);
}

describe('adaptedTensor', () => {
  test('adds the terms, also to values that lie turned', async () => {
    const delta = product(written.up, written.down);
    const values = await compute(weight, [term, { ...term, scale: 0.25 }]).promise;
    expect(values).toHaveLength(ROWS * COLUMNS);
    const changed = (i: number) => 1.5 * (delta[i] as number);
    expect(error(values, (i) => (written.weight.data[i] as number) + changed(i))).toBeLessThan(1e-5);
    const turned = { ...place('turned'), shape: [ROWS, COLUMNS], transposed: true };
    const others = await compute(turned, [{ ...term, scale: 0.75 }]).promise;
    const stored = (i: number) =>
      written.turned.data[(i % COLUMNS) * ROWS + Math.floor(i / COLUMNS)] as number;
    expect(error(others, (i) => stored(i) + changed(i))).toBeLessThan(1e-5);
  });

  test('without terms gives the values themselves', async () => {
    expect(await compute(weight, []).promise).toEqual(written.weight.data);
  });

  test('can be cancelled', async () => {
    const job = compute(weight, [term]);
    job.cancel();
    await expect(job.promise).rejects.toMatchObject({ code: 'ERR_DEEPCACHE_ABORTED' });
  });

  rejects([
    ['no tensor', () => compute(undefined, []), 'tensor'],
    ['no terms', () => compute(weight, undefined), 'terms'],
    ['a negative axis', () => compute({ ...weight, shape: [-1, 2] }, []), 'shape[0]'],
    ['no name', () => compute({ ...weight, name: 5 }, []), 'name must be'],
    ['another kind', () => compute(weight, [{ ...term, kind: 'none' }]), /terms\[0\]\.kind.*lora/],
    ['a scale beyond all', () => compute(weight, [{ ...term, scale: 1e9 }]), 'terms[0].scale'],
    ['no factor', () => compute(weight, [{ ...term, factor: Number.NaN }]), 'terms[0].factor'],
  ]);
  rejects(
    [
      ['values outside of the file', () => compute({ ...weight, offset: 2 ** 40 }, [term]), file],
      [
        'a type that nothing computes with',
        () => compute({ ...weight, dtype: 'I64', shape: [2, 2] }, []),
        'I64',
      ],
      [
        'factors of another weight',
        () => compute({ ...weight, shape: [ROWS / 2, COLUMNS * 2] }, [term]),
        'which does not fit',
      ],
      [
        'a missing factor',
        () => compute(weight, [{ ...term, tensors: { up: place('up') } }]),
        'no tensor down',
      ],
    ],
    'ERR_DEEPCACHE_INVALID_WEIGHTS',
  );
});
