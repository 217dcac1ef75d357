import { withOutput } from '../../../lib/guidance/added-output.js';
import { perturbedLayers, perturbs } from '../../../lib/guidance/perturbed.js';
import type { EncodedPrompt, GenerateOptions, Scheduler, Tensor } from '../../../lib/index.js';
import { finish } from '../../../lib/native/device.js';
import { guidanceEmbedding } from '../../../lib/pipelines/conditioning/guidance-embedding.js';
import { timeIds, type XLSizeOptions } from '../../../lib/pipelines/conditioning/time-ids.js';
import { encodeModes, repeatTo } from '../../../lib/pipelines/inputs/encode-image.js';
import { concat } from '../../../lib/tensor.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Pipeline } from '../models.js';
import type { RecordedRun } from './pipeline-run.js';

/**
 * The U-Net's inputs and outputs of every call. Inputs follow from the latents of the run; outputs are computed from
 * the stored inputs, call by call, so that an error in one call does not hide in the ones after it.
 */
export async function compareCalls(
  golden: GoldenCase,
  findings: Findings,
  pipe: Pipeline,
  run: RecordedRun,
  { options, branch, extra }: { options: GenerateOptions; branch: number | undefined; extra: object },
): Promise<void> {
  const inputs = golden.tensor('unet_in');
  const [calls = 0, batch = 0, , height = 0, width = 0] = inputs.shape;
  const { timeCondWidth: condWidth } = pipe.unet;
  const guidanceScale = options.guidanceScale ?? 7.5;
  const guided = guidanceScale > 1 && condWidth === 0;
  const pipeline = golden.field('pipeline');
  const images = pipeline === EDITS ? await imageLatents(golden, pipe, guided) : undefined;
  const small = pipeline === ENLARGES ? noisyImage(golden, pipe, options) : NOTHING;
  const outputs = (guided ? 2 : 1) + (perturbs(options) ? 1 : 0);
  findings.tensor('unet_in', unetInputs(golden, run, images ?? new Array(outputs).fill(small)));

  const prompts = await pipe.encodePrompt(options);
  const encoded = {
    ...conditionsOf(prompts, { ...sizeOf(pipe, inputs.shape), ...options }),
    ...(images && { context: contextOfEdits(prompts) }),
  };
  const perturbed = perturbs(options) ? perturbedLayers(options, pipe.unet) : undefined;
  const conditions = {
    ...(perturbed ? await withOutput(encoded, { like: 'last' }, outputs - 1, undefined) : encoded),
    ...(pipeline === ENLARGES && { classLabels: new Float32Array(batch).fill(noiseLevelOf(options)) }),
    ...(condWidth > 0 && { timestepCond: repeatTo(guidanceEmbedding(guidanceScale, condWidth), 1, batch) }),
  };
  const values = inputs.data as Float32Array;
  const count = values.length / calls;
  const outs: Float32Array[] = [];
  for (let call = 0; call < calls; call++) {
    const full = run.full[call] === true;
    const request = {
      ...extra,
      ...conditions,
      sample: values.slice(call * count, (call + 1) * count),
      batch,
      height,
      width,
      timesteps: [run.timesteps[call] as number],
      ...(branch !== undefined && (full ? { features: [branch] } : { retrieve: branch })),
    };
    const { out } = await finish(() => pipe.unet.native.forward(request));
    if (perturbed) {
      const last = out.length - out.length / outputs;
      const other = await finish(() => pipe.unet.native.forward({ ...request, perturbed }));
      out.set(other.out.subarray(last), last);
    }
    outs.push(out);
  }
  findings.tensor('unet_out', concat(outs));
}

const EDITS = 'StableDiffusionInstructPix2PixPipeline';
const ENLARGES = 'StableDiffusionUpscalePipeline';
const NOTHING = new Float32Array(0);

/** What edits of a picture have behind the latents: of the prompt's output, the picture's, and neither's. */
async function imageLatents(golden: GoldenCase, pipe: Pipeline, guided: boolean): Promise<Float32Array[]> {
  const image = golden.tensor('image') as Tensor;
  const shown = await encodeModes(pipe.vae, image, { batch: 1, tiling: undefined });
  return guided ? [shown, shown, new Float32Array(shown.length)] : [shown];
}

const noiseLevelOf = (options: object) => (options as { noiseLevel: number }).noiseLevel;

/** What upscalers have behind the latents: the small picture, noised with what was drawn first. */
function noisyImage(golden: GoldenCase, pipe: Pipeline, options: object): Float32Array {
  const { lowResScheduler } = (pipe as unknown as { components: { lowResScheduler: Scheduler } }).components;
  const image = golden.tensor('image').data as Float32Array;
  const noise = golden.tensor('noise_draws_0').data as Float32Array;
  return lowResScheduler.addNoise(
    image.map((value) => 2 * value - 1),
    noise,
    noiseLevelOf(options),
  );
}

/** In that order. */
function contextOfEdits({ promptEmbeds, negativePromptEmbeds: negative }: EncodedPrompt): Float32Array {
  return concat([promptEmbeds.data, ...(negative ? [negative.data, negative.data] : [])]);
}

/** Pixels of a run whose size its pictures give. */
function sizeOf(pipe: Pipeline, [, , , height = 0, width = 0]: readonly number[]) {
  return { height: height * pipe.vae.scale, width: width * pipe.vae.scale };
}

/** What the pipeline gives the U-Net besides latents and time: [negative, positive]. */
function conditionsOf(encoded: EncodedPrompt, options: GenerateOptions) {
  const both = (positive?: Tensor, negative?: Tensor) =>
    concat([negative, positive].flatMap((tensor) => (tensor ? [tensor.data] : [])));
  const { promptEmbeds, negativePromptEmbeds, pooledPromptEmbeds, negativePooledPromptEmbeds } = encoded;
  const conditions = {
    context: both(promptEmbeds, negativePromptEmbeds),
    contextLength: promptEmbeds.shape[1] as number,
  };
  if (!pooledPromptEmbeds) return conditions;
  const { width = 0, height = 0 } = options;
  const ids = timeIds(options as XLSizeOptions, { width, height, aesthetic: false });
  const images = promptEmbeds.shape[0] as number;
  const repeat = (half: number[]) => Array.from({ length: images }, () => half).flat();
  const timeIdValues = [...(negativePromptEmbeds ? repeat(ids.negative) : []), ...repeat(ids.positive)];
  return {
    ...conditions,
    textEmbeds: both(pooledPromptEmbeds, negativePooledPromptEmbeds),
    timeIds: Float32Array.from(timeIdValues),
  };
}

/** The latents before each call, scaled as the sampler has it, once for each output, and what is behind them. */
function unetInputs(golden: GoldenCase, run: RecordedRun, behind: readonly Float32Array[]): Float32Array {
  const drawn =
    ['latents_noise', 'noise_draws', 'noise_draws_1'].find((role) => golden.has(role)) ?? 'latents_noise';
  const count = run.latents[0]?.length ?? 0;
  const noise = (golden.tensor(drawn).data as Float32Array).subarray(0, count);
  const start = noise.map((value) => value * run.schedule.initNoiseSigma);
  const inputs = run.schedule.rows.map((row, call) => {
    const latents = call === 0 ? start : (run.latents[call - 1] as Float32Array);
    return latents.map((value) => value * (row.inputScale as number));
  });
  return concat(inputs.flatMap((input) => behind.flatMap((more) => [input, more])));
}
