import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { fitTo } from '../../lib/control/preprocess/fit.js';
import { Image, type PreprocessOptions, preprocess } from '../../lib/index.js';
import { rejection } from '../pipelines/tiny.js';

interface CannyCase {
  readonly width: number;
  readonly height: number;
  readonly low: number;
  readonly high: number;
  readonly pixels: string;
  readonly edges: string;
}

const { cases }: { cases: CannyCase[] } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/canny.json'), 'utf8'),
);

const gray = (width: number, height: number, value: (x: number, y: number) => number) =>
  new Image({
    width,
    height,
    data: Uint8Array.from({ length: 3 * width * height }, (_, i) => {
      const pixel = Math.trunc(i / 3);
      return value(pixel % width, Math.trunc(pixel / width));
    }),
  });

const row = ({ data, width }: Image, y: number) =>
  Array.from({ length: width }, (_, x) => data[3 * (y * width + x)]);

describe('canny', () => {
  test.each(cases)(
    '$width x $height is what OpenCV makes',
    async ({ width, height, low, high, pixels, edges }) => {
      const image = new Image({ width, height, data: new Uint8Array(Buffer.from(pixels, 'base64')) });
      const { data } = await preprocess(image, 'canny', { low, high });
      const expected = [...edges].flatMap((edge) => new Array<number>(3).fill(255 * Number(edge)));
      expect(expected).toContain(255);
      expect([...data]).toEqual(expected);
    },
  );

  test('takes thresholds in either order, and is its own in every channel', async () => {
    const { width, height, pixels } = cases[0] as CannyCase;
    const image = new Image({ width, height, data: new Uint8Array(Buffer.from(pixels, 'base64')) });
    const one = await preprocess(image, 'canny');
    expect((await preprocess(image, 'canny', { low: 200, high: 100 })).data).toEqual(one.data);
  });
});

describe('other changes', () => {
  test('blur keeps what is even, and spreads a point by a Gaussian', async () => {
    const even = gray(9, 7, () => 93);
    expect((await preprocess(even, 'blur')).data).toEqual(even.data);
    const point = gray(21, 1, (x) => (x === 10 ? 255 : 0));
    const sigma = 2;
    const { data } = await preprocess(point, 'blur', { sigma });
    const weight = (x: number) => Math.exp(-(x * x) / (2 * sigma * sigma));
    const all = Array.from({ length: 13 }, (_, i) => weight(i - 6)).reduce((a, b) => a + b);
    for (const x of [0, 1, 3, 6]) {
      expect(Math.abs((data[3 * (10 + x)] as number) - (255 * weight(x)) / all)).toBeLessThanOrEqual(0.5);
      expect(data[3 * (10 - x)]).toBe(data[3 * (10 + x)]);
    }
  });

  test('invert is the negative', async () => {
    const image = gray(5, 3, (x, y) => 10 * x + y);
    const { data } = await preprocess(image, 'invert');
    expect([...data]).toEqual([...image.data].map((value) => 255 - value));
  });

  test('tile loses details and keeps the size', async () => {
    const checkers = gray(32, 16, (x, y) => ((x + y) % 2) * 255);
    const tile = await preprocess(checkers, 'tile');
    expect(tile).toMatchObject({ width: 32, height: 16 });
    for (const value of tile.data) expect(Math.abs(value - 127.5)).toBeLessThan(4);
    expect((await preprocess(checkers, 'tile', { factor: 1 })).data).toEqual(checkers.data);
  });

  test('say what is wrong', async () => {
    const image = gray(4, 4, () => 0);
    const problem = async (kind: string, options: object = {}) =>
      (await rejection(preprocess(image, kind as 'canny', options as PreprocessOptions))).message;
    expect(await problem('edges')).toMatch(/kind must be canny, blur, tile, invert/);
    expect(await problem('blur', { sigma: 0 })).toMatch(/^sigma/);
    expect(await problem('canny', { low: Number.NaN })).toMatch(/^low/);
    expect(await problem('canny', { lower: 5 })).toMatch(/lower/);
  });
});

describe('sizes', () => {
  const image = gray(8, 4, (x) => 20 * x);

  test('crop takes the middle', async () => {
    const { data, width } = await fitTo(image, 4, 4, 'crop');
    expect(row(new Image({ width, height: 4, data }), 2)).toEqual([40, 60, 80, 100]);
    const tall = await fitTo(
      gray(2, 6, (_, y) => 20 * y),
      2,
      2,
      'crop',
    );
    expect([tall.data[0], tall.data[6]]).toEqual([40, 60]);
  });

  test('fill puts black beside it', async () => {
    const filled = await fitTo(image, 8, 8, 'fill');
    expect(row(filled, 1)).toEqual(new Array(8).fill(0));
    expect(row(filled, 2)).toEqual(row(image, 0));
    expect(row(filled, 5)).toEqual(row(image, 0));
    expect(row(filled, 6)).toEqual(new Array(8).fill(0));
    const wide = await fitTo(image, 12, 4, 'fill');
    expect(row(wide, 0)).toEqual([0, 0, ...row(image, 0), 0, 0]);
  });

  test('stretch goes out of shape', async () => {
    expect(await fitTo(image, 8, 8, 'stretch')).toMatchObject({ width: 8, height: 8 });
  });
});
