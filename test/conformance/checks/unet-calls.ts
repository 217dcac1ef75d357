import type { EncodedPrompt, GenerateOptions, Tensor } from '../../../lib/index.js';
import { finish } from '../../../lib/native/device.js';
import { guidanceEmbedding } from '../../../lib/pipelines/conditioning/guidance-embedding.js';
import { timeIds, type XLSizeOptions } from '../../../lib/pipelines/conditioning/time-ids.js';
import { repeatTo } from '../../../lib/pipelines/inputs/encode-image.js';
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
  findings.tensor('unet_in', unetInputs(golden, run, guided ? 2 : 1));

  const conditions = {
    ...conditionsOf(await pipe.encodePrompt(options), { ...sizeOf(pipe, inputs.shape), ...options }),
    ...(condWidth > 0 && { timestepCond: repeatTo(guidanceEmbedding(guidanceScale, condWidth), 1, batch) }),
  };
  const values = inputs.data as Float32Array;
  const count = values.length / calls;
  const outputs: Float32Array[] = [];
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
    outputs.push((await finish(() => pipe.unet.native.forward(request))).out);
  }
  findings.tensor('unet_out', concat(outputs));
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

/** The latents before each call, scaled as the sampler has it, once for each guidance half. */
function unetInputs(golden: GoldenCase, run: RecordedRun, halves: 1 | 2): Float32Array {
  const noise = golden.tensor('latents_noise').data as Float32Array;
  const start = noise.map((value) => value * run.schedule.initNoiseSigma);
  const inputs = run.schedule.rows.map((row, call) => {
    const latents = call === 0 ? start : (run.latents[call - 1] as Float32Array);
    return latents.map((value) => value * (row.inputScale as number));
  });
  return concat(inputs.flatMap((input) => new Array<Float32Array>(halves).fill(input)));
}
