import type { NativeGenerator } from '../../native/types.js';
import type { Sliced } from '../../slices.js';

/** A video's noise, [videos, channels, frames, pixels]. */
export interface VideoNoise {
  readonly videos: number;
  readonly channels: number;
  readonly frames: number;
  readonly pixels: number;
}

/**
 * Gives every frame behind the first `length` the noise of one of those `length` before, in the place: each stride of them is
 * shuffled (diffusers: AnimateDiffFreeNoiseMixin._prepare_latents_free_noise, noise_type "shuffle_context").
 *
 * @param generators one for all videos, which are shuffled alike, or one for each.
 */
export function* shuffleContext(
  values: Float32Array,
  { videos, channels, frames, pixels }: VideoNoise,
  { length, stride }: { readonly length: number; readonly stride: number },
  generators: readonly NativeGenerator[],
): Sliced<void> {
  for (let to = length; to < frames; to += stride) {
    const from = to - length;
    const orders = generators.map((generator) => permutation(generator, stride));
    for (let video = 0; video < videos; video++) {
      const order = (orders[video] ?? orders[0]) as number[];
      for (let channel = 0; channel < channels; channel++) {
        const at = (frame: number) => ((video * channels + channel) * frames + frame) * pixels;
        for (let i = 0; i < stride && to + i < frames; i++) {
          const source = at(from + (order[i] as number));
          values.copyWithin(at(to + i), source, source + pixels);
        }
      }
      yield;
    }
  }
}

/** torch.randperm of the generator, for fewer than 2^32 / 20 numbers. */
export function permutation(generator: Pick<NativeGenerator, 'nextUint32'>, count: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = 0; i < count - 1; i++) {
    const other = i + (generator.nextUint32() % (count - i));
    [order[i], order[other]] = [order[other] as number, order[i] as number];
  }
  return order;
}
