import { join } from 'node:path';
import { DeepCacheError } from '../../../lib/errors.js';
import type { AnimateDiffOptions, AnimateDiffPipeline, GenerateOptions, Tensor } from '../../../lib/index.js';
import { finish } from '../../../lib/native/device.js';
import { NoiseSource } from '../../../lib/pipelines/inputs/noise.js';
import { toSeed } from '../../../lib/pipelines/inputs/seeds.js';
import { concat, countOf } from '../../../lib/tensor.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models, Pipeline } from '../models.js';
import { swapped } from './motion.js';
import { decode } from './pipeline.js';
import { generateOptions, helperCache } from './pipeline-options.js';
import { type RecordedRun, recordRun } from './pipeline-run.js';

/** Latents are videos [n, c, f, h, w] there, frames one behind the other here. */
export async function checkMotionPipeline(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  if (golden.field('free_noise')) {
    throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', 'FreeNoise is not implemented');
  }
  const motionAdapter = join(golden.modelFolder, golden.field<string>('adapter') ?? 'motion_adapter');
  const pipe = await models.pipeline(golden.modelFolder, golden.field<string>('pipeline'), { motionAdapter });
  const cache = helperCache(golden);
  const options = { ...generateOptions(golden), cache } as AnimateDiffOptions;
  const run = await recordRun(pipe, options as GenerateOptions);
  await compareNoise(golden, findings);
  const stored = golden.tensor('latents').shape;
  findings.tensor('latents', asVideos(concat(run.latents), stored));
  findings.tensor('timesteps', run.timesteps);
  findings.equal('full_step', run.full, golden.field('full_step') ?? run.full.map(() => true));
  const [rows] = golden.field<number[]>('unet_batch') ?? [];
  findings.equal('unet_batch', (options.guidanceScale ?? 7.5) > 1 ? 2 : 1, rows);
  if (golden.has('image_raw')) findings.tensor('image_raw', await decode(pipe, run));
  if (golden.has('unet_in')) await compareCalls(golden, findings, pipe, run, options);
}

async function compareNoise(golden: GoldenCase, findings: Findings): Promise<void> {
  const { shape } = golden.tensor('latents_noise');
  const source = new NoiseSource([toSeed('seed', golden.field<number>('seed'))], shape[0] as number);
  const [, ...each] = shape;
  findings.tensor('latents_noise', await source.draw(countOf(each)), { atol: 4e-6, rtol: 0 });
}

/** The inputs of every call follow from the run, its outputs are computed from the stored inputs. */
async function compareCalls(
  golden: GoldenCase,
  findings: Findings,
  pipe: Pipeline,
  run: RecordedRun,
  options: AnimateDiffOptions,
): Promise<void> {
  const inputs = golden.tensor('unet_in') as Tensor;
  const [calls = 0, videos = 0, channels = 0, frames = 0, height = 0, width = 0] = inputs.shape;
  const noise = golden.tensor('latents_noise') as Tensor;
  const starts = run.schedule.rows.map((row, call) => {
    const latents = call === 0 ? noise.data : asVideos(run.latents[call - 1] as Float32Array, noise.shape);
    const scale = (row.inputScale as number) * (call === 0 ? run.schedule.initNoiseSigma : 1);
    return concat(new Array<Float32Array>(videos).fill(latents.map((value) => value * scale)));
  });
  findings.tensor('unet_in', concat(starts));
  const { promptEmbeds, negativePromptEmbeds } = await (pipe as unknown as AnimateDiffPipeline).encodePrompt(
    options as GenerateOptions,
  );
  const context = concat([...(negativePromptEmbeds ? [negativePromptEmbeds.data] : []), promptEmbeds.data]);
  const count = inputs.data.length / calls;
  const outputs: Float32Array[] = [];
  for (let call = 0; call < calls; call++) {
    const shape = [videos, channels, frames, height, width];
    const sample = swapped(inputs.data.slice(call * count, (call + 1) * count), shape);
    const request = { batch: videos * frames, frames, height, width, context };
    const { out } = await finish(() =>
      pipe.unet.native.forward({
        ...request,
        sample,
        contextLength: promptEmbeds.shape[1] as number,
        timesteps: [run.timesteps[call] as number],
      }),
    );
    outputs.push(swapped(out, [videos, frames, channels, height, width]));
  }
  findings.tensor('unet_out', concat(outputs));
}

/** Frames one behind the other, as the shape [..., c, f, h, w] has them. */
function asVideos(values: Float32Array, shape: readonly number[]): Float32Array {
  const [channels = 0, frames = 0, height = 0, width = 0] = shape.slice(-4);
  return swapped(values, [
    values.length / (channels * frames * height * width),
    frames,
    channels,
    height,
    width,
  ]);
}
