import { forEachIndex, type Sliced } from '../slices.js';
import { Image } from './image.js';

/** Luma in all three channels, rounded as Pillow's convert('L') does. */
export function* toGray({ width, height, data }: Image): Sliced<Image> {
  const gray = new Uint8Array(data.length);
  yield* forEachIndex(width * height, (pixel) => {
    const i = 3 * pixel;
    const [r, g, b] = [data[i] as number, data[i + 1] as number, data[i + 2] as number];
    const luma = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
    gray[i] = luma;
    gray[i + 1] = luma;
    gray[i + 2] = luma;
  });
  return new Image({ width, height, data: gray });
}

/** RGB of pixels of one, three or four channels. */
export function* threeChannels(data: Uint8Array, channels: number): Sliced<Uint8Array> {
  const pixels = data.length / channels;
  const rgb = new Uint8Array(pixels * 3);
  // Gray is each of the three.
  const [green, blue] = channels === 1 ? [0, 0] : [1, 2];
  yield* forEachIndex(pixels, (pixel) => {
    const from = pixel * channels;
    rgb[3 * pixel] = data[from] as number;
    rgb[3 * pixel + 1] = data[from + green] as number;
    rgb[3 * pixel + 2] = data[from + blue] as number;
  });
  return rgb;
}
