import type { Sliced } from '../../slices.js';

/** [videos, channels, frames, h, w], as diffusers draws it, -> [videos * frames, channels, h, w], as the runtime has it. */
export function* framesFirst(
  values: Float32Array,
  frames: number,
  [channels, height, width]: readonly [number, number, number],
): Sliced<Float32Array> {
  if (frames === 1) return values;
  const pixels = height * width;
  const out = new Float32Array(values.length);
  for (let i = 0; i * pixels < values.length; i++) {
    const frame = i % frames;
    const channel = Math.floor(i / frames) % channels;
    const video = Math.floor(i / frames / channels);
    const to = (video * frames + frame) * channels + channel;
    out.set(values.subarray(i * pixels, (i + 1) * pixels), to * pixels);
    if (channel === channels - 1) yield;
  }
  return out;
}
