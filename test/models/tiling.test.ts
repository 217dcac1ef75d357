import { describe, expect, test } from '@jest/globals';
import { needsTiles, runTiled } from '../../lib/models/tiling.js';
import { countOf, type Tensor } from '../../lib/tensor.js';

// The network of these tests scales its tile by 2 or 1/2 and adds the tile's mean, so that tiles disagree where they
// overlap. Expected values: diffusers' tiled_decode and tiled_encode (v0.24) with the same network in torch.

function network(tile: Tensor, scale: number): Tensor {
  const [n = 0, c = 0, h = 0, w = 0] = tile.shape;
  const shape = [n, c, h * scale, w * scale];
  const [height = 0, width = 0] = shape.slice(2);
  const data = new Float32Array(countOf(shape));
  for (let plane = 0; plane < n * c; plane++) {
    const values = tile.data.subarray(plane * h * w, (plane + 1) * h * w);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    for (let i = 0; i < height * width; i++) {
      const [y, x] = [Math.floor(i / width) / scale, (i % width) / scale].map(Math.floor) as [number, number];
      data[plane * height * width + i] = (values[y * w + x] as number) + mean;
    }
  }
  return { data, shape };
}

/** Two channels: a ramp, and something that jumps about. */
function field(height: number, width: number): Tensor {
  const data = new Float32Array(2 * height * width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data[y * width + x] = y * width + x;
      data[(height + y) * width + x] = (7 * y + 3 * x) % 11;
    }
  }
  return { data, shape: [1, 2, height, width] };
}

const close = (actual: ArrayLike<number>, expected: number[]) => {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 4);
};
const sum = (values: Float32Array) => values.reduce((total, value) => total + value, 0);

describe('runTiled', () => {
  test('decodes as diffusers does', async () => {
    const run = async (tile: Tensor) => network(tile, 2);
    const out = await runTiled(field(11, 9), { tiling: { tile: 4, overlap: 1 }, scale: 2, run });
    expect(out.shape).toEqual([1, 2, 22, 18]);
    const [a, b] = [out.data.subarray(0, 396), out.data.subarray(396)];
    close(
      a.subarray(7 * 18, 8 * 18),
      [
        55.5, 55.5, 56.5, 56.5, 57.5, 57.5, 58.5, 59.625, 62.5, 62.5, 63.5, 63.5, 64.5, 65.4375, 68, 68, 69,
        69,
      ],
    );
    close(
      Array.from({ length: 22 }, (_, y) => b[y * 18 + 13] as number),
      [
        12.2916667, 12.2916667, 8.2916667, 8.2916667, 15.2916667, 15.2916667, 11.020834, 11, 6.979167,
        6.979167, 13.979167, 13.979167, 10.052084, 10.088542, 6.125, 6.125, 13.125, 13.125, 9.3125, 9, 4.6875,
        4.6875,
      ],
    );
    expect(sum(a)).toBeCloseTo(38266.3125, 1);
    expect(sum(b)).toBeCloseTo(3991.320343, 2);
  });

  test('encodes as diffusers does', async () => {
    const run = async (tile: Tensor) => network(tile, 1 / 2);
    const out = await runTiled(field(22, 30), { tiling: { tile: 16, overlap: 4 }, scale: 1 / 2, run });
    expect(out.shape).toEqual([1, 2, 11, 15]);
    const [a, b] = [out.data.subarray(0, 165), out.data.subarray(165)];
    close(
      a.subarray(7 * 15, 8 * 15),
      [
        787.5, 789.5, 791.5, 793.5, 795.5, 797.5, 799.5, 806, 815.5, 817.5, 819.5, 821.5, 823.5, 828.125,
        834.5,
      ],
    );
    close(
      Array.from({ length: 11 }, (_, y) => b[y * 15 + 9] as number),
      [
        14.996094, 6.996094, 9.996094, 12.996094, 4.996094, 7.996094, 10.996094, 14.004297, 6.0125, 9.0125,
        12.0125,
      ],
    );
    expect(sum(a)).toBeCloseTo(105445.875, 1);
    expect(sum(b)).toBeCloseTo(1651.1329, 2);
  });

  // What overlaps must agree: then tiles cannot be told from one piece.
  test.each([
    [4, 0],
    [4, 1],
    [4, 2],
    [6, 3],
    [8, 2],
  ])('tiles of %i with %i of overlap leave nothing out, and nothing twice', async (tile, overlap) => {
    for (const [height, width] of [
      [5, 4],
      [9, 17],
      [16, 16],
      [3, 30],
      [tile + 1, 1],
    ] as const) {
      const input = field(height, width);
      const sizes: number[] = [];
      const run = async (part: Tensor) => {
        sizes.push(...part.shape.slice(2));
        const rows = { ...part, data: part.data.map((value) => 3 * value) };
        return rows;
      };
      const out = await runTiled(input, { tiling: { tile, overlap }, scale: 1, run });
      expect(out.shape).toEqual(input.shape);
      for (const [i, value] of out.data.entries())
        expect(value).toBeCloseTo(3 * (input.data[i] as number), 3);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(tile);
    }
  });

  test('an error of a tile comes out', async () => {
    const run = async () => {
      throw new Error('no memory');
    };
    await expect(runTiled(field(9, 9), { tiling: { tile: 4, overlap: 1 }, scale: 1, run })).rejects.toThrow(
      'no memory',
    );
  });
});

test('a picture of the size of a tile is not cut', () => {
  const tiling = { tile: 64, overlap: 16 };
  expect(needsTiles(tiling, 64, 64)).toBe(false);
  expect(needsTiles(tiling, 65, 8)).toBe(true);
  expect(needsTiles(tiling, 8, 65)).toBe(true);
});
