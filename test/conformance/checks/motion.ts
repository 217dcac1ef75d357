import { finish } from '../../../lib/native/device.js';
import type { Tap } from '../../../lib/native/types.js';
import type { Tensor } from '../../../lib/tensor.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';
import { compareActivations } from './activations.js';

const MODULES =
  /^((down|up)_blocks\.\d+|mid_block)(\.(resnets|attentions|motion_modules)\.\d+|\.(0|res\d+))?$/;

/** A U-Net with motion modules; videos are [n, c, f, h, w] there, frames one behind the other here. */
export async function checkMotionUnet(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const unet = await models.motionUnet(golden.modelFolder, golden.field<string>('motion_adapter') as string);
  const sample = golden.tensor('sample') as Tensor;
  const [videos = 0, , frames = 0, height = 0, width = 0] = sample.shape;
  const context = golden.tensor('encoder_hidden_states') as Tensor;
  const [, tokens = 0, wide = 0] = context.shape;
  const { out, taps } = await finish(() =>
    unet.native.forward({
      sample: swapped(sample.data, sample.shape),
      batch: videos * frames,
      frames,
      height,
      width,
      // Repeated for each frame there.
      context: everyNth(context.data, tokens * wide, frames),
      contextLength: tokens,
      timesteps: Array.from(golden.tensor('timestep').data, Number),
      taps: true,
    }),
  );
  const channels = out.length / (videos * frames * height * width);
  findings.tensor('out', swapped(out, [videos, frames, channels, height, width]));
  compareActivations(golden, findings, taps as Tap[], MODULES);
}

/** [n, a, b, h, w] -> [n, b, a, h, w] */
export function swapped(data: Float32Array, shape: readonly number[]): Float32Array {
  const [n = 0, a = 0, b = 0, height = 0, width = 0] = shape;
  const pixels = height * width;
  const out = new Float32Array(data.length);
  for (let i = 0; i < n * a * b; i++) {
    const video = Math.floor(i / (a * b));
    const to = video * a * b + (i % b) * a + (Math.floor(i / b) % a);
    out.set(data.subarray(i * pixels, (i + 1) * pixels), to * pixels);
  }
  return out;
}

function everyNth(data: Float32Array, size: number, n: number): Float32Array {
  return data.filter((_, i) => Math.floor(i / size) % n === 0);
}
