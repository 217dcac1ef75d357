import { branchFromHelper } from '../../../lib/deepcache/index.js';
import { finish } from '../../../lib/native/device.js';
import type { NativeUnet, UnetConditions } from '../../../lib/native/types.js';
import type { Tolerance } from '../compare.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';
import type { GoldenTensor } from '../safetensors.js';
import { compareActivations } from './activations.js';
import { checkMotionInputs, checkMotionRetrieve, isOfVideos } from './motion.js';

const MODULES = /^((down|up)_blocks\.\d+|mid_block)(\.(resnets|attentions)\.\d+|\.(0|res\d+))?$/;

export async function checkUnet(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const unet = await models.unet(golden.modelFolder);
  const request = {
    ...sampleOf(golden, 'sample'),
    ...conditionsOf(golden, unet.native),
    timesteps: timestepsOf(golden),
  };
  const { out } = await finish(() => unet.native.forward(request));
  findings.tensor('out', out);
}

export async function checkUnetActivations(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const unet = await models.unet(golden.modelFolder);
  const request = {
    ...sampleOf(golden, 'sample'),
    ...conditionsOf(golden, unet.native),
    timesteps: timestepsOf(golden),
  };
  const { out, taps } = await finish(() => unet.native.forward({ ...request, taps: true }));
  findings.tensor('out', out);
  compareActivations(golden, findings, taps, MODULES);
}

/** The inputs of retrieve cases: what the whole U-Net makes of them. */
export async function checkDeepCacheInputs(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  if (isOfVideos(golden, 'sample_full')) return checkMotionInputs(golden, findings, models);
  const unet = await models.unet(golden.modelFolder);
  const [first, second] = timestepsOf(golden, 'timesteps') as [number, number];
  const tolerance = golden.tolerance ?? toleranceOfUsers(golden);
  for (const [sample, timestep, role] of [
    ['sample_full', first, 'out_full'],
    ['sample_retrieve', second, 'out_nocache'],
  ] as const) {
    const request = {
      ...sampleOf(golden, sample),
      ...conditionsOf(golden, unet.native),
      timesteps: [timestep],
    };
    const { out } = await finish(() => unet.native.forward(request));
    findings.tensor(role, out, findings.toleranceOf(role, tolerance));
  }
}

/** A full pass that keeps the feature of a branch, then a retrieve step of it. */
export async function checkDeepCache(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const inputs = golden.siblings.find(({ id }) => id === golden.field('inputs'));
  if (!inputs) throw new Error(`there is no case ${String(golden.field('inputs'))}`);
  if (isOfVideos(inputs, 'sample_full')) return checkMotionRetrieve(golden, inputs, findings, models);
  const unet = await models.unet(golden.modelFolder);
  const id = golden.field<{ cache_branch_id: number }>('deepcache')?.cache_branch_id as number;
  const { levels, layersPerBlock } = unet.native;
  const branch = branchFromHelper(id, { levels, layersPerBlock });
  checkDescription(golden, findings, (await unet.branches())[branch], branch);

  const [first, second] = timestepsOf(inputs, 'timesteps') as [number, number];
  const conditions = conditionsOf(inputs, unet.native);
  const full = { ...sampleOf(inputs, 'sample_full'), ...conditions, timesteps: [first], features: [branch] };
  await finish(() => unet.native.forward(full));
  if (golden.has('cached_feature')) findings.tensor('cached_feature', unet.native.feature(branch).data);
  const retrieve = { ...sampleOf(inputs, 'sample_retrieve'), ...conditions, timesteps: [second] };
  const { out } = await finish(() => unet.native.forward({ ...retrieve, retrieve: branch }));
  findings.tensor('out_retrieve', out);
}

/** What branches() says of the branch must be what the reference was seen to run. */
function checkDescription(
  golden: GoldenCase,
  findings: Findings,
  info: { feature: string; runs: readonly string[] } | undefined,
  branch: number,
): void {
  const feature = golden.field<string>('cached_feature');
  if (feature !== undefined) findings.equal('name of the feature', info?.feature, feature);
  const known = golden.sourceField<Record<string, { retrieve_runs?: string[] }>>('branches')?.[branch];
  if (known?.retrieve_runs) findings.equal('modules of the retrieve step', info?.runs, known.retrieve_runs);
}

/** The inputs of retrieve cases carry no tolerance of their own. */
function toleranceOfUsers(golden: GoldenCase): Tolerance | undefined {
  return golden.siblings.find((other) => other.field('inputs') === golden.id)?.tolerance;
}

export function sampleOf(golden: GoldenCase, role: string) {
  const { data, shape } = golden.tensor(role);
  const [batch = 0, , height = 0, width = 0] = shape;
  return { sample: data as Float32Array, batch, height, width };
}

/** Where the context is made of an image, the reference is given a text that it does not read. */
export function conditionsOf(golden: GoldenCase, { contextWidth }: NativeUnet): UnetConditions {
  const context = golden.tensor('encoder_hidden_states');
  return {
    ...(contextWidth > 0 && {
      context: context.data as Float32Array,
      contextLength: context.shape[1] as number,
    }),
    ...(golden.has('encoder_attention_mask') && {
      contextMask: floats(golden.tensor('encoder_attention_mask')),
    }),
    ...(golden.has('image_embeds') && { imageEmbeds: golden.tensor('image_embeds').data as Float32Array }),
    ...(golden.has('class_labels') && { classLabels: floats(golden.tensor('class_labels')) }),
    ...(golden.has('text_embeds') && { textEmbeds: golden.tensor('text_embeds').data as Float32Array }),
    ...(golden.has('timestep_cond') && {
      timestepCond: golden.tensor('timestep_cond').data as Float32Array,
    }),
    ...(golden.has('time_ids') && { timeIds: golden.tensor('time_ids').data as Float32Array }),
  };
}

export function timestepsOf(golden: GoldenCase, role = 'timestep'): number[] {
  return Array.from(golden.tensor(role).data as Iterable<GoldenTensor['data'][number]>, Number);
}

/** Of whole numbers, too. */
function floats({ data }: GoldenTensor): Float32Array {
  return Float32Array.from(data as Iterable<number | bigint>, Number);
}
