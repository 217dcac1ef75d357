import { join } from 'node:path';
import { normalizeForClip, resizeAntialiased } from '../../../lib/images/clip-resize.js';
import { loadImages, sizeOf, toRgb } from '../../../lib/images/input.js';
import type { StableVideoDiffusionPipeline } from '../../../lib/index.js';
import { finish } from '../../../lib/native/device.js';
import { conditionVideo, guidanceOfFrames } from '../../../lib/pipelines/conditioning/video-conditioning.js';
import { toSigned } from '../../../lib/pipelines/outputs/pixels.js';
import { EulerDiscreteScheduler } from '../../../lib/schedulers/index.js';
import { inOneGo } from '../../../lib/slices.js';
import { concat, type Tensor } from '../../../lib/tensor.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';
import { compareActivations } from './activations.js';

const MODULES = /^((down|up)_blocks\.\d+|mid_block)(\.(resnets|attentions|downsamplers|upsamplers)\.\d+)?$/;

/** The only model of the family. */
async function pipelineOf(golden: GoldenCase, models: Models): Promise<StableVideoDiffusionPipeline> {
  const folder = join(
    golden.folder,
    golden.sourceField<Record<string, { dir: string }>>('models')?.model?.dir ?? 'model',
  );
  return (await models.pipeline(folder)) as unknown as StableVideoDiffusionPipeline;
}

async function imageOf(golden: GoldenCase, size?: { width: number; height: number }): Promise<Tensor> {
  const loaded = await loadImages('image', join(golden.folder, golden.field<string>('image') as string), 3);
  const { width, height } = size ?? sizeOf(loaded);
  return toRgb('image', loaded, width, height);
}

export async function checkClipPreprocess(golden: GoldenCase, findings: Findings): Promise<void> {
  const original = await imageOf(golden);
  const signed = { ...original, data: inOneGo(toSigned(original.data)) };
  const resized = inOneGo(resizeAntialiased(signed, 224));
  const stride = golden.field<number>('stride') ?? 1;
  findings.tensor('resized_minus1_1', everyNth(resized, stride));
  findings.tensor('pixel_values_stride4', everyNth(normalizeForClip(resized), 4));
}

export async function checkVideoVaePreprocess(golden: GoldenCase, findings: Findings): Promise<void> {
  const [width, height] = [golden.field<number>('width') as number, golden.field<number>('height') as number];
  findings.tensor('x', inOneGo(toSigned((await imageOf(golden, { width, height })).data)));
}

export async function checkClipVision(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const pipe = await pipelineOf(golden, models);
  const pixels = golden.tensor('pixel_values') as Tensor;
  const { embeds, last } = await pipe.imageEncoder.encode(pixels);
  findings.tensor('image_embeds', embeds);
  findings.tensor('last_hidden_state', last);
}

export async function checkVideoVaeEncode(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const pipe = await pipelineOf(golden, models);
  const { data } = await pipe.vae.encode(golden.tensor('x') as Tensor);
  findings.tensor('moments', data);
  findings.tensor('mode', data.subarray(0, data.length / 2));
}

export async function checkVideoVaeDecode(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const pipe = await pipelineOf(golden, models);
  const { data, shape } = golden.tensor('z') as Tensor;
  const [frames = 0, ...each] = shape;
  const chunk = golden.field<number>('decode_chunk_size') ?? frames;
  const count = data.length / frames;
  const decoded: Float32Array[] = [];
  for (let i = 0; i < frames; i += chunk) {
    const some = Math.min(chunk, frames - i);
    const latents = { data: data.slice(i * count, (i + some) * count), shape: [some, ...each] };
    decoded.push((await pipe.vae.decode(latents)).data);
  }
  findings.tensor('frames', concat(decoded));
}

export async function checkVideoUnet(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const pipe = await pipelineOf(golden, models);
  const request = { ...requestOf(golden, 'sample'), timesteps: [golden.field<number>('timestep') as number] };
  const { out, taps } = await finish(() => pipe.unet.native.forward({ ...request, taps: true }));
  findings.tensor('out', out);
  // A down block's output is the first of several that it returns.
  const rename = (module: string) => module.replace(/^down_blocks\.\d+$/, '$&.0');
  compareActivations(golden, findings, taps, MODULES, rename);
}

export async function checkVideoDeepCache(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const { unet } = await pipelineOf(golden, models);
  const branch = golden.field<number>('helper_branch') as number;
  const timesteps = (name: string) => [golden.field<number>(name) as number];
  const full = { ...requestOf(golden, 'sample_full'), timesteps: timesteps('t_full'), features: [branch] };
  await finish(() => unet.native.forward(full));
  const shallow = { ...requestOf(golden, 'sample_shallow'), timesteps: timesteps('t_shallow') };
  findings.tensor(
    'out_shallow',
    (await finish(() => unet.native.forward({ ...shallow, retrieve: branch }))).out,
  );
}

export async function checkVideoPipeline(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const pipe = await pipelineOf(golden, models);
  const number = (name: string) => golden.field<number>(name) as number;
  const optional = (name: string) => golden.field<number>(name);
  const branch = optional('helper_branch');
  const [width, height, frames] = [number('width'), number('height'), number('num_frames')];
  const latents: Float32Array[] = [];
  const full: number[] = [];
  const conditions = {
    fps: number('fps'),
    motionBucketId: number('motion_bucket_id'),
    noiseAugStrength: number('noise_aug_strength'),
  };
  const isOld = interleaves(golden);
  const options = {
    image: join(golden.folder, golden.field<string>('image') as string),
    width,
    height,
    numFrames: frames,
    steps: number('num_inference_steps'),
    minGuidanceScale: number('min_guidance_scale'),
    maxGuidanceScale: number('max_guidance_scale'),
    ...conditions,
    ...(optional('decode_chunk_size') && { decodeChunkSize: number('decode_chunk_size') }),
    latents: golden.tensor('latents_in') as Tensor,
    imageNoise: golden.tensor('image_noise') as Tensor,
    interleaveContexts: isOld,
    ...(branch !== undefined && { cache: { interval: number('cache_interval'), branch } }),
    latentsEvery: 1,
    onStep: (event: { call: number; full: boolean; latents?: Tensor }) => {
      latents.push(event.latents?.data as Float32Array);
      if (event.full) full.push(event.call - 1);
    },
  };
  const { tensor } = await pipe.generate({ ...options, output: 'float32' });
  findings.equal('full_steps', full, golden.field('full_steps'));
  findings.tensor('latents_step1', latents[0] as Float32Array);
  findings.tensor('latents_step2', latents[1] as Float32Array);
  findings.tensor('latents_final', latents.at(-1) as Float32Array);
  const pixels = channelsLast(tensor as Tensor);
  findings.tensor(
    'frames_u8',
    pixels.map((value) => Math.round(value * 255)),
  );
  if (golden.has('frames')) findings.tensor('frames', pixels);

  // What the U-Net makes of its first two inputs.
  const guided = options.maxGuidanceScale > 1;
  const { context, contextLength, timeIds, constant } = await conditionVideo(pipe, {
    ...conditions,
    image: await imageOf(golden, { width, height }),
    original: await imageOf(golden),
    imageNoise: options.imageNoise.data,
    frames,
    guided,
  });
  const schedule = pipe.scheduler.compile({ steps: options.steps });
  const outputs: Float32Array[] = [];
  const start = options.latents.data.map((value) => value * schedule.initNoiseSigma);
  const halves = guided ? 2 : 1;
  for (const [call, before] of [start, latents[0] as Float32Array].entries()) {
    const scale = schedule.rows[call]?.inputScale as number;
    const isFull = full.includes(call);
    const request = {
      context,
      contextLength,
      timeIds,
      frames,
      oldContexts: isOld,
      batch: halves * frames,
      height: height / pipe.vae.scale,
      width: width / pipe.vae.scale,
      sample: withConstant(
        before.map((value) => value * scale),
        constant,
        { frames, halves },
      ),
      timesteps: [schedule.timesteps[call] as number],
      ...(branch !== undefined && (isFull ? { features: [branch] } : { retrieve: branch })),
    };
    outputs.push((await finish(() => pipe.unet.native.forward(request))).out);
  }
  findings.tensor('noise_pred_first2', concat(outputs));
}

/** Tables in the manifest: the schedule for several numbers of steps, and the guidance of each frame. */
export function checkVideoTable(golden: GoldenCase, findings: Findings): void {
  type Table = { sigmas: number[]; timesteps: number[]; init_noise_sigma: number };
  for (const [steps, table] of Object.entries(golden.field<Record<string, Table>>('tables') ?? {})) {
    const scheduler = new EulerDiscreteScheduler({
      beta_start: 0.00085,
      beta_end: 0.012,
      beta_schedule: 'scaled_linear',
      prediction_type: 'v_prediction',
      sigma_max: 700,
      sigma_min: 0.002,
      steps_offset: 1,
      timestep_spacing: 'leading',
      timestep_type: 'continuous',
      use_karras_sigmas: true,
    });
    const compiled = scheduler.compile({ steps: Number(steps) });
    const tolerance = { atol: 1e-6, rtol: 1e-6 };
    findings.values(`sigmas of ${steps}`, compiled.sigmas ?? [], table.sigmas, tolerance);
    findings.values(`timesteps of ${steps}`, compiled.timesteps, table.timesteps, tolerance);
    findings.values(`sigma of ${steps}`, [compiled.initNoiseSigma], [table.init_noise_sigma], tolerance);
  }
  for (const [name, values] of Object.entries(golden.field<Record<string, number[]>>('values') ?? {})) {
    const [min = 0, max = 0, frames = 0] = name.split(',').map(Number);
    findings.values(name, guidanceOfFrames(min, max, frames), values, { rtol: 1e-6 });
  }
}

/** [b, f, c, h, w] and what conditions it. */
function requestOf(golden: GoldenCase, role: string) {
  const { data, shape } = golden.tensor(role) as Tensor;
  const [videos = 0, frames = 0, , height = 0, width = 0] = shape;
  const context = golden.tensor('encoder_hidden_states') as Tensor;
  return {
    sample: data,
    batch: videos * frames,
    frames,
    height,
    width,
    context: context.data,
    contextLength: context.shape[1] as number,
    timeIds: (golden.tensor('added_time_ids') as Tensor).data,
    oldContexts: interleaves(golden),
  };
}

/** At one video there is no difference, and the case does not say. */
function interleaves(golden: GoldenCase): boolean {
  return golden.field<string>('context_broadcast')?.startsWith('fixed') !== true;
}

/** [halves * frames, latents then constant channels]. */
function withConstant(
  latents: Float32Array,
  constant: Float32Array,
  { frames, halves }: { frames: number; halves: number },
): Float32Array {
  const [own, extra] = [latents.length / frames, constant.length / (halves * frames)];
  const parts: Float32Array[] = [];
  for (let i = 0; i < halves * frames; i++) {
    const frame = i % frames;
    parts.push(
      latents.subarray(frame * own, (frame + 1) * own),
      constant.subarray(i * extra, (i + 1) * extra),
    );
  }
  return concat(parts);
}

export function everyNth({ data, shape }: Tensor, stride: number): Float32Array {
  const [, , height = 0, width = 0] = shape;
  const kept = data.filter(
    (_, i) => (i % width) % stride === 0 && (Math.floor(i / width) % height) % stride === 0,
  );
  return kept;
}

function channelsLast({ data, shape }: Tensor): Float32Array {
  const [, channels = 0, height = 0, width = 0] = shape;
  const area = height * width;
  return Float32Array.from(data, (_, i) => {
    const frame = Math.floor(i / (area * channels));
    const pixel = Math.floor(i / channels) % area;
    return data[(frame * channels + (i % channels)) * area + pixel] as number;
  });
}
