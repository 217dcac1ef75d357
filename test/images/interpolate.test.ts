import { expect, test } from '@jest/globals';
import { interpolate } from '../../lib/images/interpolate.js';
import { inOneGo } from '../../lib/slices.js';

const row = (values: number[]) => ({ data: Float32Array.from(values), shape: [1, 1, 1, values.length] });
const widths = (
  values: number[],
  width: number,
  ...how: [mode: 'nearest' | 'nearest-exact' | 'bilinear' | 'bicubic' | 'area', antialias?: boolean]
) =>
  Array.from(
    inOneGo(interpolate(row(values), { width, height: 1 }, ...how)).data,
    (value) => Math.round(1e4 * value) / 1e4,
  );

// torch.nn.functional.interpolate(..., align_corners=False), by hand from its definition.
test('enlarges as torch does', () => {
  expect(widths([0, 4], 4, 'bilinear')).toEqual([0, 1, 3, 4]);
  expect(widths([1, 2, 3], 5, 'nearest')).toEqual([1, 1, 2, 2, 3]);
  expect(widths([1, 2, 3], 5, 'nearest-exact')).toEqual([1, 1, 2, 3, 3]);
  expect(widths([1, 2, 3], 4, 'area')).toEqual([1, 1.5, 2.5, 3]);
  // A cubic of -0.75 at a quarter between pixels: -0.1055, 0.8789, 0.2617, -0.0352.
  expect(widths([0, 0, 1, 0, 0, 0], 12, 'bicubic')[5]).toBeCloseTo(0.8789, 3);
});

test('makes smaller pictures of all pixels with antialias', () => {
  expect(widths([0, 4, 0, 4], 2, 'bilinear')).toEqual([2, 2]);
  // Weights 2/3, 1, 2/3, 1/3 of the first four pixels; the same from the other end.
  expect(widths([0, 4, 0, 4, 0, 4], 2, 'bilinear', true)).toEqual([2, 2]);
  expect(() => widths([0, 1], 1, 'area', true)).toThrow('antialias is for bilinear and bicubic');
});
