import { expect, test } from '@jest/globals';
import { reproduce } from '../lib/reproduce/index.js';

const rows = await reproduce();

test('every published figure is reproduced, but for the known exceptions', () => {
  const differing = rows.filter(({ matches }) => !matches);
  expect(differing.map(({ row }) => row)).toEqual([
    'Stable Diffusion v1.5, N = 5',
    'DDPM, CIFAR-10, N = 5, skip branch 7',
    'DDPM, CIFAR-10, N = 5, skip branch 8',
  ]);
  for (const { exception } of differing) expect(exception).toBeTruthy();
});

test('averages weigh full and cached steps', () => {
  const row = rows.find(({ row }) => row === 'LDM-4-G, ImageNet, N = 10');
  expect(row?.computed).toBeCloseTo(13.965, 3);
  expect(rows.find(({ row }) => row === 'DDPM, CIFAR-10, N = 5, skip branch 2')?.computed).toBeCloseTo(
    2.242,
    3,
  );
});
