import { brownianValues } from '../../math/brownian-motion.js';
import { native } from '../../native/binding.js';
import type { MotionDraws } from '../../schedulers/index.js';
import { pause } from '../../slices.js';
import { randn } from './noise.js';

/** What makes the draws of a run. */
export interface MotionRun {
  motion: MotionDraws;
  /** Of the run: one for the batch, or one for each image. */
  seeds: readonly bigint[];
  batch: number;
  /** Numbers of an image's latents. */
  count: number;
}

/**
 * The draws of a Brownian motion, [draws, batch, ...]. With the motion's own seed, or one seed of the run, it is one
 * motion for the batch; with several there is one for each image.
 *
 * All of them are in memory before the run begins. A draw takes some ten to twenty times as long as an independent one, for each halves
 * the motion down to a millionth.
 */
export async function motionDraws(
  { motion, seeds, batch, count }: MotionRun,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const { low, high, seed, ways } = motion;
  const own = seed === null ? seeds : [BigInt(seed)];
  const length = (batch / own.length) * count;
  const draws = new Float32Array(ways.length * batch * count);
  for (const [tree, entropy] of own.entries()) {
    const normal = async (word: number) => {
      await pause(signal);
      return randn(new (native().Generator)(BigInt(word)), length, signal);
    };
    const valueAt = await brownianValues(
      // The seed's bits, as a number that is not negative.
      { low, high, entropy: BigInt.asUintN(64, entropy) },
      ways.flat(),
      normal,
    );
    for (const [i, [from, to]] of ways.entries()) {
      const [start, end] = [valueAt(from), valueAt(to)];
      const scale = 1 / Math.sqrt(Math.abs(to - from));
      const offset = i * batch * count + tree * length;
      for (let k = 0; k < length; k++)
        draws[offset + k] = ((end[k] as number) - (start[k] as number)) * scale;
      await pause(signal);
    }
  }
  return draws;
}
