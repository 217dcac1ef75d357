import { expect, test } from '@jest/globals';
import { clipPixels } from '../../lib/images/clip-picture.js';
import { Image } from '../../lib/images/image.js';
import { resizeBicubic } from '../../lib/images/resize.js';

const MEAN = [0.48145466, 0.4578275, 0.40821073];
const DEVIATION = [0.26862954, 0.26130258, 0.27577711];

/** Red grows with x, green with y, blue is the same everywhere. */
function ramp(width: number, height: number): Image {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) data.set([4 * x, 4 * y, 99], 3 * (y * width + x));
  return new Image({ width, height, data });
}

test("CLIP reads a picture's middle, its short side resized, with normalised values", async () => {
  const { data, shape } = await clipPixels(ramp(40, 20), 20);
  expect(shape).toEqual([1, 3, 20, 20]);
  const at = (channel: number, x: number, y: number) =>
    (data[channel * 400 + y * 20 + x] as number) * (DEVIATION[channel] as number) + (MEAN[channel] as number);
  // Twenty columns are left of the twenty in the middle: ten.
  expect(255 * at(0, 0, 5)).toBeCloseTo(40, 3);
  expect(255 * at(0, 19, 5)).toBeCloseTo(4 * 29, 3);
  expect(255 * at(1, 3, 19)).toBeCloseTo(4 * 19, 3);
  expect(255 * at(2, 7, 7)).toBeCloseTo(99, 3);
});

test("bicubic resizing is Pillow's filter with a = -0.5", async () => {
  const data = Uint8Array.from([0, 0, 0, 0, 0, 0, 200, 200, 200, 200, 200, 200]);
  const { data: twice } = await resizeBicubic(new Image({ width: 4, height: 1, data }), 8, 1);
  // What lies 1.75, 0.75, 0.25 and 1.25 pixels away: the step overshoots.
  const [first, second] = [-0.0234375, 0.2265625];
  expect([...twice].filter((_, i) => i % 3 === 0).slice(2, 6)).toEqual([
    0,
    Math.round(200 * (first + second)),
    Math.round(200 * (1 - first - second)),
    214,
  ]);
});
