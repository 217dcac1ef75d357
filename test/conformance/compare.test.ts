import { describe, expect, test } from '@jest/globals';
import { compareValues } from './compare.js';

describe('element by element', () => {
  const tolerance = { atol: 0.1, rtol: 0.01 };

  test('an error may be atol + rtol * |expected|', () => {
    expect(compareValues('x', [10.19], [10], tolerance).ok).toBe(true);
    expect(compareValues('x', [10.21], [10], tolerance).ok).toBe(false);
  });

  test('the worst value is told with its place', () => {
    const { ok, detail, error, share } = compareValues(
      'x',
      [0, 0, 0.2, 0.3],
      [0, 0, 0, 0],
      tolerance,
      [2, 2],
    );
    expect(ok).toBe(false);
    expect(error).toBeCloseTo(0.3);
    expect(share).toBeCloseTo(3);
    expect(detail).toContain('2 of 4');
    expect(detail).toContain('[1,1]: 0.3 instead of 0');
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('%d is wrong', (value) => {
    expect(compareValues('x', [0, value], [0, 0], tolerance).ok).toBe(false);
    expect(compareValues('x', [0, 0], [0, value], { atol: 1, rtol: 0 }).ok).toBe(false);
  });

  test('another number of values is wrong', () => {
    expect(compareValues('x', [1], [1, 1], tolerance).ok).toBe(false);
    expect(compareValues('x', [1, 1], [1], tolerance).ok).toBe(false);
  });

  test('whole numbers are compared with bigints', () => {
    expect(compareValues('ids', [5, 6], [5n, 6n], { atol: 0, rtol: 0 }).ok).toBe(true);
    expect(compareValues('ids', [5, 7], [5n, 6n], { atol: 0, rtol: 0 }).ok).toBe(false);
  });

  test('pictures in uint8 may be off by one', () => {
    const picture = Uint8Array.of(7, 200);
    expect(compareValues('image_u8', [8, 199], picture, { rel_l2: 0 }).ok).toBe(true);
    expect(compareValues('image_u8', [9, 200], picture, { rel_l2: 1 }).ok).toBe(false);
  });

  test('without a tolerance 1e-6 of the value is allowed', () => {
    expect(compareValues('table', [1 + 0.9e-6], [1]).ok).toBe(true);
    expect(compareValues('table', [1 + 1.1e-6], [1]).ok).toBe(false);
  });
});

describe('over a whole tensor', () => {
  test('every limit must hold', () => {
    const [actual, expected] = [
      [3, 4.1],
      [3, 4],
    ];
    expect(compareValues('eps', actual, expected, { rel_l2: 0.021, max_abs: 0.11 }).ok).toBe(true);
    expect(compareValues('eps', actual, expected, { rel_l2: 0.019, max_abs: 0.11 }).ok).toBe(false);
    expect(compareValues('eps', actual, expected, { rel_l2: 0.021, max_abs: 0.09 }).ok).toBe(false);
    expect(compareValues('eps', [3, Number.NaN], expected, { rel_l2: 1 }).ok).toBe(false);
  });

  test('latents and pictures have limits of their own', () => {
    const tolerance = { rel_l2_latents: 0.001, rel_l2_image: 0.1 };
    expect(compareValues('x_final', [1.01], [1], tolerance).ok).toBe(false);
    expect(compareValues('image01', [1.01], [1], tolerance).ok).toBe(true);
    expect(compareValues('frames', [1.01], [1], { rel_l2_latents: 1, max_abs_frames: 0.001 }).ok).toBe(false);
  });

  test('a limit for every slice is not met on average', () => {
    const [actual, expected] = [
      [100, 1.1],
      [100, 1],
    ];
    expect(compareValues('latents', actual, expected, { rel_l2: 0.01 }, [2]).ok).toBe(true);
    expect(compareValues('latents', actual, expected, { rel_l2_each: 0.01 }, [2]).ok).toBe(false);
    const { relative } = compareValues('latents', actual, expected, { rel_l2_each: 0.2 }, [2]);
    expect(relative).toBeCloseTo(0.1);
  });

  test('the noise of a picture is measured beside its range', () => {
    const [actual, expected] = [
      [0.01, 1.01],
      [0, 1],
    ];
    expect(compareValues('image', actual, expected, { psnr: 39.9 }).ok).toBe(true);
    expect(compareValues('image', actual, expected, { psnr: 40.1 }).ok).toBe(false);
    expect(compareValues('image', [0, Number.NaN], expected, { psnr: 1 }).ok).toBe(false);
    expect(compareValues('image_u8', [3, 200], Uint8Array.of(0, 200), { psnr: 30 }).ok).toBe(true);
  });

  test('a tolerance that says nothing about a role fails', () => {
    expect(compareValues('frames', [1], [1], { rel_l2_latents: 1 }).ok).toBe(false);
  });
});
