import { join } from 'node:path';
import type { AnimateDiffOptions, AnimateDiffPipeline, GenerateOptions, Tensor } from '../../../lib/index.js';
import { finish } from '../../../lib/native/device.js';
import { type FreeNoise, toFreeNoise } from '../../../lib/options/free-noise.js';
import { NoiseSource } from '../../../lib/pipelines/inputs/noise.js';
import { toSeed } from '../../../lib/pipelines/inputs/seeds.js';
import { inOneGo } from '../../../lib/slices.js';
import { concat, countOf } from '../../../lib/tensor.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models, Pipeline } from '../models.js';
import { swapped } from './motion.js';
import { decode } from './pipeline.js';
import { generateOptions, helperCache } from './pipeline-options.js';
import { type RecordedRun, recordRun } from './pipeline-run.js';

/** Two of torch's code paths differ by half of this. */
const NOISE = { atol: 4e-6, rtol: 0 };

/** Latents are videos [n, c, f, h, w] there, frames one behind the other here. */
export async function checkMotionPipeline(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const motionAdapter = join(golden.modelFolder, golden.field<string>('adapter') ?? 'motion_adapter');
  const pipe = await models.pipeline(golden.modelFolder, golden.field<string>('pipeline'), { motionAdapter });
  const cache = helperCache(golden);
  const freeNoise = golden.field<Record<string, unknown>>('free_noise');
  const options = {
    ...generateOptions(golden),
    cache,
    ...(freeNoise && { freeNoise: camelCased(freeNoise) }),
  } as AnimateDiffOptions;
  const run = await recordRun(pipe, options as GenerateOptions);
  await compareNoise(golden, findings, toFreeNoise(options.freeNoise, {}));
  const stored = golden.tensor('latents').shape;
  findings.tensor('latents', asVideos(concat(run.latents), stored));
  findings.tensor('timesteps', run.timesteps);
  findings.equal('full_step', run.full, golden.field('full_step') ?? run.full.map(() => true));
  const [rows] = golden.field<number[]>('unet_batch') ?? [];
  findings.equal('unet_batch', (options.guidanceScale ?? 7.5) > 1 ? 2 : 1, rows);
  if (golden.has('image_raw')) findings.tensor('image_raw', await decode(pipe, run));
  if (golden.has('unet_in')) await compareCalls(golden, findings, pipe, run, options);
}

/** The seed's draw, and with FreeNoise what it becomes. */
async function compareNoise(
  golden: GoldenCase,
  findings: Findings,
  freeNoise: FreeNoise | undefined,
): Promise<void> {
  const { shape } = golden.tensor('latents_noise');
  const source = new NoiseSource([toSeed('seed', golden.field<number>('seed'))], shape[0] as number);
  const [, ...each] = shape;
  const draw = await source.draw(countOf(each));
  findings.tensor('latents_noise', draw, NOISE);
  if (!freeNoise) return;
  const [videos = 0, channels = 0, frames = 0, height = 0, width = 0] = shape;
  if (freeNoise.noiseType === 'shuffle_context')
    inOneGo(source.shuffled(draw, { videos, channels, frames, pixels: height * width }, freeNoise.windows));
  findings.tensor('latents_start', draw, NOISE);
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

function camelCased(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const name = (text: string) => text.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [name(key), value]));
}
