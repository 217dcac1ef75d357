import { branchFromHelper } from '../../../lib/deepcache/index.js';
import type { UNetMotionModel } from '../../../lib/models/unet-motion.js';
import { finish } from '../../../lib/native/device.js';
import type { Tap } from '../../../lib/native/types.js';
import type { Tensor } from '../../../lib/tensor.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';
import { compareActivations } from './activations.js';

const MODULES =
  /^((down|up)_blocks\.\d+|mid_block)(\.(resnets|attentions|motion_modules)\.\d+|\.(0|res\d+))?$/;

/** The folder of the motion modules beside the U-Net of these goldens. */
const ADAPTER = 'motion_adapter';

/** Whether a case's samples are videos. */
export function isOfVideos(golden: GoldenCase, role: string): boolean {
  return golden.has(role) && golden.tensor(role).shape.length === 5;
}

/** What the whole U-Net makes of the inputs of retrieve cases. */
export async function checkMotionInputs(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const unet = await models.motionUnet(golden.modelFolder, ADAPTER);
  const [first = 0, second = 0] = Array.from(golden.tensor('timesteps').data, Number);
  findings.tensor('out_full', await forward(unet, golden, 'sample_full', { timesteps: [first] }));
  findings.tensor('out_nocache', await forward(unet, golden, 'sample_retrieve', { timesteps: [second] }));
}

/** A full pass that keeps the feature of a branch, then a retrieve step of it. */
export async function checkMotionRetrieve(
  golden: GoldenCase,
  inputs: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const unet = await models.motionUnet(inputs.modelFolder, ADAPTER);
  const id = golden.field<{ cache_branch_id: number }>('deepcache')?.cache_branch_id as number;
  const branch = branchFromHelper(id, unet.native);
  const [first = 0, second = 0] = Array.from(inputs.tensor('timesteps').data, Number);
  await forward(unet, inputs, 'sample_full', { timesteps: [first], features: [branch] });
  const retrieved = { timesteps: [second], retrieve: branch };
  findings.tensor('out_retrieve', await forward(unet, inputs, 'sample_retrieve', retrieved));
}

/** A pass over videos, as videos. */
async function forward(
  unet: UNetMotionModel,
  golden: GoldenCase,
  role: string,
  more: { timesteps: number[]; features?: number[]; retrieve?: number },
): Promise<Float32Array> {
  const { shape } = golden.tensor(role);
  const [videos = 0, , frames = 0, height = 0, width = 0] = shape;
  const { out } = await finish(() => unet.native.forward({ ...requestOf(golden, role), ...more }));
  return swapped(out, [videos, frames, out.length / (videos * frames * height * width), height, width]);
}

/** Videos as frames, with a context for each. */
function requestOf(golden: GoldenCase, role: string) {
  const sample = golden.tensor(role) as Tensor;
  const [videos = 0, , frames = 0, height = 0, width = 0] = sample.shape;
  const context = golden.tensor('encoder_hidden_states') as Tensor;
  const [, tokens = 0, wide = 0] = context.shape;
  return {
    sample: swapped(sample.data, sample.shape),
    batch: videos * frames,
    frames,
    height,
    width,
    // Repeated for each frame there.
    context: everyNth(context.data, tokens * wide, frames),
    contextLength: tokens,
  };
}

/** A U-Net with motion modules; videos are [n, c, f, h, w] there, frames one behind the other here. */
export async function checkMotionUnet(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const unet = await models.motionUnet(golden.modelFolder, golden.field<string>('motion_adapter') as string);
  const [videos = 0, , frames = 0, height = 0, width = 0] = golden.tensor('sample').shape;
  const timesteps = Array.from(golden.tensor('timestep').data, Number);
  const request = { ...requestOf(golden, 'sample'), timesteps, taps: true };
  const { out, taps } = await finish(() => unet.native.forward(request));
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
