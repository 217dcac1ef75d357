import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { gaussianBlur } from '../../lib/images/gaussian-blur.js';
import { Image } from '../../lib/images/image.js';
import { blank } from '../../lib/images/paste.js';
import { cropRegion, type Region } from '../../lib/inpaint/crop-region.js';
import { resizeAndCrop, resizeAndFill } from '../../lib/inpaint/fit.js';
import { overlaid } from '../../lib/inpaint/overlay.js';
import { inOneGo } from '../../lib/slices.js';

// What diffusers 0.40's VaeImageProcessor makes with Pillow 12.3 of the same pictures: regions, and the beginnings of the
// SHA-256 of pixels.

/** Bytes of a linear congruential generator (ANSI C's numbers). */
function bytes(count: number, seed: number): Uint8Array {
  let state = BigInt(seed);
  return Uint8Array.from({ length: count }, () => {
    state = (state * 1103515245n + 12345n) % 2147483648n;
    return Number((state >> 16n) & 255n);
  });
}

const noise = (width: number, height: number, seed: number) =>
  new Image({ width, height, data: bytes(3 * width * height, seed) });

const gray = (width: number, height: number, values: ArrayLike<number>) =>
  new Image({
    ...{ width, height },
    data: Uint8Array.from({ length: 3 * width * height }, (_, i) => values[Math.floor(i / 3)] as number),
  });

type Box = readonly [left: number, top: number, right: number, bottom: number, value: number];
function masked(width: number, height: number, boxes: readonly Box[]): Image {
  const mask = blank({ width, height });
  for (const [left, top, right, bottom, value] of boxes) {
    for (let y = top; y < bottom; y++) mask.data.fill(value, 3 * (y * width + left), 3 * (y * width + right));
  }
  return mask;
}

const hashOf = (image: Image) => createHash('sha256').update(image.data).digest('hex').slice(0, 12);
/** Of one channel. */
const hashOfGray = ({ data }: Image) =>
  createHash('sha256')
    .update(data.filter((_, i) => i % 3 === 0))
    .digest('hex')
    .slice(0, 12);
const sides = ({ left, top, right, bottom }: Region) => [left, top, right, bottom];

describe('get_crop_region', () => {
  test.each([
    [100, 80, [20, 30, 40, 35], 64, 64, 0, [20, 23, 40, 43]],
    [100, 80, [20, 30, 40, 35], 64, 64, 7, [13, 16, 47, 50]],
    [100, 80, [0, 0, 3, 3], 64, 64, 5, [0, 0, 8, 8]],
    [100, 80, [95, 70, 100, 80], 64, 128, 12, [83, 46, 100, 80]],
    [100, 80, [10, 5, 90, 20], 64, 128, 4, [6, 0, 94, 80]],
    [50, 200, [10, 100, 30, 120], 512, 128, 3, [0, 97, 50, 123]],
    [300, 40, [100, 2, 130, 38], 128, 64, 32, [68, 0, 162, 40]],
    [37, 53, [5, 6, 31, 50], 64, 64, 1, [0, 5, 37, 51]],
    [640, 480, [300, 120, 380, 220], 512, 512, 32, [258, 88, 422, 252]],
    [640, 480, [0, 0, 640, 480], 512, 768, 16, [0, 0, 640, 480]],
  ] as const)('of %dx%d with %j for %dx%d, padding %d', (w, h, box, width, height, padding, expected) => {
    const region = inOneGo(cropRegion(masked(w, h, [[...box, 255]]), { width, height }, padding));
    expect(sides(region)).toEqual(expected);
  });

  test('of nothing is an error', () => {
    expect(() => inOneGo(cropRegion(blank({ width: 8, height: 8 }), { width: 8, height: 8 }, 0))).toThrow(
      'maskImage is black everywhere',
    );
  });
});

test.each([
  [31, 17, 1, '0f3e89d97344'],
  [31, 17, 4, '7ea8b7df2ef1'],
  [64, 40, 0.5, '8bdbf97eab61'],
  [40, 40, 33, '80619ee61d14'],
  [5, 3, 6, '63facf6d8227'],
  [90, 20, 12.5, '6ed64d2c3d0a'],
])('GaussianBlur of %dx%d by %d', (width, height, radius, hash) => {
  expect(hashOfGray(inOneGo(gaussianBlur(gray(width, height, bytes(width * height, 7)), radius)))).toBe(hash);
});

test.each([
  [40, 40, 64, 64, 'dfa4ee2fdc1c'],
  [40, 41, 64, 64, 'e79c5aeb5cfe'],
  [41, 40, 64, 64, '7b1332dbfab5'],
  [20, 50, 64, 64, 'b8b589a9b82f'],
  [50, 20, 64, 64, '77b965ab415a'],
  [300, 40, 128, 64, 'b78cc8c05e06'],
  [37, 53, 64, 128, '93f6d5e30cce'],
  [1, 9, 16, 16, '933b167ef763'],
  [2, 9, 16, 16, '8ec222dd5e1f'],
])('resize_mode "fill" of %dx%d to %dx%d', async (w, h, width, height, hash) => {
  expect(hashOf(await resizeAndFill(noise(w, h, 3), { width, height }))).toBe(hash);
});

test.each([
  [64, 64, 40, 40, '09795b7e33bf'],
  [64, 64, 40, 41, 'f20926a18de2'],
  [64, 64, 41, 40, '1de051e1d056'],
  [64, 128, 37, 53, '34840703a7ec'],
  [128, 64, 300, 40, '141557184bd6'],
  [64, 64, 20, 50, '2219820359c7'],
  [16, 16, 1, 9, 'e75c26c998d1'],
])('resize_mode "crop" of %dx%d to %dx%d', async (w, h, width, height, hash) => {
  expect(hashOf(await resizeAndCrop(noise(w, h, 5), { width, height }))).toBe(hash);
});

test.each([
  [100, 80, [[20, 30, 40, 35, 255]], 0, 64, 64, 6, '94f44f14919e'],
  [100, 80, [[20, 30, 60, 65, 255]], 4, 64, 64, 6, '7fd966b0e27d'],
  [
    ...([96, 70] as const),
    [
      [0, 0, 20, 33, 255],
      [40, 10, 50, 20, 130],
    ],
    ...([3, 64, 128, 9, '02dca8fc6485'] as const),
  ],
  [64, 64, [[20, 20, 40, 40, 255]], 5, 64, 64, undefined, '6c3ef1dbf95c'],
] as const)(
  'apply_overlay on %dx%d, mask %j blurred by %d',
  async (w, h, boxes, blur, width, height, padding, hash) => {
    const sharp = masked(w, h, boxes);
    const mask = blur > 0 ? inOneGo(gaussianBlur(sharp, blur)) : sharp;
    const region = padding === undefined ? undefined : inOneGo(cropRegion(mask, { width, height }, padding));
    expect(hashOf(await overlaid(noise(w, h, 3), mask, noise(width, height, 9), region))).toBe(hash);
  },
);
