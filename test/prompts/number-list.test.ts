import { expect, test } from '@jest/globals';
import { NumberList } from '../../lib/prompts/number-list.js';

test('a list of numbers keeps them over the borders of its blocks', () => {
  const list = new NumberList(Float64Array);
  for (let i = 0; i < 10_000; i++) list.push(i / 2);
  list.set(4095, -1);
  list.set(4096, -2);
  expect(list).toHaveLength(10_000);
  expect([0, 4094, 4095, 4096, 4097, 9999].map((i) => list.at(i))).toEqual([0, 2047, -1, -2, 2048.5, 4999.5]);
});
