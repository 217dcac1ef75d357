import { DDIMScheduler, PNDMScheduler } from '../../../lib/entries/schedulers.js';
import type { CacheSettings } from '../../../lib/index.js';
import { finish } from '../../../lib/native/device.js';
import { NoiseSource } from '../../../lib/pipelines/inputs/noise.js';
import { warpLatents } from '../../../lib/pipelines/loop/motion.js';
import { compileWhole, denoiseVideo } from '../../../lib/pipelines/loop/video-zero.js';
import { concat, type Tensor } from '../../../lib/tensor.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';

/** The schedulers of Stable Diffusion's folders. */
const SCHEDULE = {
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  steps_offset: 1,
  set_alpha_to_one: false,
};

export function checkWarp(golden: GoldenCase, findings: Findings): void {
  const ids = golden.field<number[]>('frame_ids') ?? [];
  const [x, y] = [golden.field<number>('strength_x') ?? 0, golden.field<number>('strength_y') ?? 0];
  const motions = ids.map((id) => ({ x: x * id, y: y * id }));
  findings.tensor('warped', warpLatents(golden.tensor('latents') as Tensor, motions).data);
}

export async function checkCrossFrameUnet(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const unet = await models.unet(golden.folder, 'model');
  const { data, shape } = golden.tensor('sample') as Tensor;
  const context = golden.tensor('encoder_hidden_states') as Tensor;
  const [batch = 0, , height = 0, width = 0] = shape;
  const request = {
    sample: data,
    batch,
    height,
    width,
    frames: golden.field<boolean>('cross_frame') ? (golden.field<number>('frames') as number) : 1,
    context: context.data,
    contextLength: context.shape[1] as number,
    timesteps: [golden.field<number>('timestep') as number],
  };
  findings.tensor('out', (await finish(() => unet.native.forward(request))).out);
}

export async function checkVideoZero(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const unet = await models.unet(golden.folder, 'model');
  const number = (name: string, fallback: number) => golden.field<number>(name) ?? fallback;
  const frames = number('frames', 8);
  const start = golden.tensor('latents_in') as Tensor;
  const context = golden.tensor('prompt_embeds') as Tensor;
  const scheduler =
    golden.field<string>('sched') === 'pndm'
      ? new PNDMScheduler({ ...SCHEDULE, skip_prk_steps: true })
      : new DDIMScheduler({ ...SCHEDULE, clip_sample: false });
  const steps = number('num_inference_steps', 50);
  const cache = cacheOf(golden);
  const events: { timestep: number; full: boolean; latents: Float32Array }[] = [];
  const { latents, trace } = await denoiseVideo(
    { unet },
    {
      options: {
        steps,
        ...(cache && { cache }),
        guidanceScale: number('guidance_scale', 7.5),
        latentsEvery: 1,
        onStep: ({ timestep, full, latents: after }) =>
          events.push({ timestep, full, latents: after?.data as Float32Array }),
      },
      scheduler,
      compiled: compileWhole(scheduler, { steps }),
      frames,
      frameIds: Array.from({ length: frames }, (_, i) => i),
      motion: {
        x: number('motion_field_strength_x', 12),
        y: number('motion_field_strength_y', 12),
      },
      t0: number('t0', 44),
      t1: number('t1', 47),
      latent: start.shape as [number, number, number, number],
      context: context.data,
      contextLength: context.shape[1] as number,
      guided: true,
      noise: new NoiseSource([0n], 1),
      latents: start.data,
      forwardNoise: (golden.tensor('forward_noise') as Tensor).data,
      note: () => {},
    },
  );
  const calls = golden.field<{ t: number; full: boolean }[]>('unet_calls') ?? [];
  findings.equal(
    'unet_calls',
    events.map(({ timestep, full }) => [timestep, full]),
    calls.map(({ t, full }) => [t, full]),
  );
  findings.tensor('x_1_t1', trace.firstAtT1);
  findings.tensor('x_1_t0', trace.firstAtT0);
  findings.tensor('x_1k_t1', trace.allAtT1);
  findings.tensor('latents_out', latents);

  // What the U-Net makes of its first two inputs.
  const outputs: Float32Array[] = [];
  const [, , height = 0, width = 0] = start.shape;
  for (const [call, x] of [start.data, events[0]?.latents as Float32Array].entries()) {
    const branch = cache?.branch;
    const request = {
      sample: concat([x, x]),
      batch: 2,
      height,
      width,
      context: context.data,
      contextLength: context.shape[1] as number,
      timesteps: [events[call]?.timestep as number],
      ...(branch !== undefined && (events[call]?.full ? { features: [branch] } : { retrieve: branch })),
    };
    outputs.push((await finish(() => unet.native.forward(request))).out);
  }
  findings.tensor('eps_first2', concat(outputs));
}

/** The paper's options: (layer, block) is branch 3 * layer + block + 1. */
function cacheOf(golden: GoldenCase): CacheSettings | undefined {
  const interval = golden.field<number>('cache_interval');
  if (interval === undefined) return undefined;
  const branch =
    3 * (golden.field<number>('cache_layer_id') ?? 0) + (golden.field<number>('cache_block_id') ?? 0) + 1;
  if (golden.field<boolean>('uniform') !== false) return { interval, branch };
  return {
    interval,
    branch,
    schedule: 'nonuniform',
    power: golden.field<number>('pow') as number,
    center: golden.field<number>('center') as number,
  };
}
