import type { Sliced } from '../slices.js';
import { Image } from './image.js';

/** Box blurs that stand for a Gaussian. */
const PASSES = 3;
const ONE = 2 ** 24;

/**
 * Blurs a gray picture as Pillow's `ImageFilter.GaussianBlur(radius)` does, bit for bit: three box blurs of a fractional
 * width each way (Gwosdek et al. 2011), rounded to 8 bits after each. Pixels beyond the edge are those of the edge.
 *
 * @param gray its three channels are the same.
 * @param radius the Gaussian's standard deviation in pixels.
 */
export function* gaussianBlur(gray: Image, radius: number): Sliced<Image> {
  const { width, height, data } = gray;
  const box = boxOf(radius);
  const plane = Uint8Array.from({ length: width * height }, (_, i) => data[3 * i] as number);
  yield;
  for (let pass = 0; pass < PASSES; pass++)
    yield* blurLines(plane, height, width, { line: width, pixel: 1 }, box);
  for (let pass = 0; pass < PASSES; pass++)
    yield* blurLines(plane, width, height, { line: 1, pixel: width }, box);
  return new Image({
    width,
    height,
    data: Uint8Array.from(data, (_, i) => plane[Math.floor(i / 3)] as number),
  });
}

/** A box of a fractional width: pixels each way in full, and the weights of those and of the ones beyond. */
interface Box {
  readonly radius: number;
  readonly weight: number;
  readonly far: number;
}

/** As 32-bit floats, as Pillow computes it. */
function boxOf(sigma: number): Box {
  const f = Math.fround;
  const variance = f(f(f(sigma) * f(sigma)) / PASSES);
  const length = f(Math.sqrt(12 * variance + 1));
  const whole = f(Math.floor((length - 1) / 2));
  const above = f(f(whole + 1) * f(whole + 1));
  const numerator = f(f(2 * whole + 1) * f(f(whole * f(whole + 1)) - f(3 * variance)));
  const real = f(whole + f(numerator / f(6 * f(variance - above))));
  const radius = Math.trunc(real);
  const weight = Math.trunc(f(ONE / f(f(real * 2) + 1)));
  return { radius, weight, far: Math.trunc((ONE - (radius * 2 + 1) * weight) / 2) };
}

function* blurLines(
  plane: Uint8Array,
  lines: number,
  length: number,
  step: { readonly line: number; readonly pixel: number },
  { radius, weight, far }: Box,
): Sliced<void> {
  const source = new Uint8Array(length);
  const at = (i: number) => source[Math.min(length - 1, Math.max(0, i))] as number;
  for (let line = 0; line < lines; line++) {
    const start = line * step.line;
    for (let i = 0; i < length; i++) source[i] = plane[start + i * step.pixel] as number;
    let sum = (radius + 1) * at(0);
    for (let i = 0; i < radius; i++) sum += at(i);
    for (let i = 0; i < length; i++) {
      sum += at(i + radius) - at(i - radius - 1);
      const blurred = sum * weight + (at(i - radius - 1) + at(i + radius + 1)) * far;
      plane[start + i * step.pixel] = Math.floor((blurred + ONE / 2) / ONE);
    }
    yield;
  }
}
