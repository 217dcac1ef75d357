import { unetDefaults } from '../../configs/unet-size.js';
import { native } from '../../native/binding.js';
import { finish } from '../../native/device.js';
import type { PlanInfo, TensorShape, UnetPlanInfo, VaePlanInfo, VaeSize } from '../../native/types.js';
import { latentsOfVae } from '../../pipelines/loading/facts.js';
import { countParameters } from './component.js';

/** What a run needs, in bytes: one image or video of the model's own size, with classifier-free guidance. */
export interface MemoryNeed {
  /** Image pixels. */
  width: number;
  height: number;
  /** Of all networks, as they are kept for computing. */
  weights: number;
  /** The same with dtype 'bf16'. */
  weightsBf16: number;
  /** Activations and buffers of the U-Net and of the decoder. */
  unet: number;
  decoder: number;
  total: number;
  /** Decoding a picture twice as wide and high, in one piece and in tiles of the model's own size. */
  large?: { width: number; height: number; decoder: number; tiledDecoder: number };
}

/** A DeepCache branch, for one image with guidance. */
export interface BranchNeed {
  branch: number;
  /** The module whose output is kept. */
  feature: string;
  /** [n, c, h, w] */
  featureShape: readonly number[];
  featureBytes: number;
  /** Multiply-accumulates of a cached step as a share of a full one. */
  share: number;
}

export interface Configs {
  unet: string;
  vae?: string | undefined;
  textEncoder?: string | undefined;
}

const GUIDED = 2;

/** The latent size of the model, and the plans for it. */
async function plans(
  { unet, vae }: Configs,
  signal: AbortSignal | undefined,
): Promise<{
  height: number;
  width: number;
  unetPlan: UnetPlanInfo;
  vaePlan?: VaePlanInfo;
  /** Of the U-Net and the autoencoder. */
  weightsBf16: number;
}> {
  const { height, width, contextLength, frames = 1 } = unetDefaults(JSON.parse(unet));
  const size = { batch: GUIDED * frames, height, width, contextLength, frames };
  const unetPlan = await finish(() => native().planUnet(unet, size), signal);
  // A video's frames are decoded at once.
  const vaePlan = vae && (await planVae(vae, { batch: frames, height, width }, signal));
  const dtype = 'bf16';
  const unetBf16 = await finish(() => native().planUnet(unet, { ...size, dtype }, false), signal);
  const vaeBf16 = vae ? await planVae(vae, { batch: frames, height, width, dtype }, signal) : undefined;
  const weightsBf16 = unetBf16.weightBytes + (vaeBf16?.weightBytes ?? 0);
  return { height, width, unetPlan, ...(vaePlan && { vaePlan }), weightsBf16 };
}

function planVae(config: string, size: VaeSize, signal: AbortSignal | undefined): Promise<VaePlanInfo> {
  return finish(() => native().planVae(config, size), signal);
}

/** @throws DeepCacheError of configurations that are not supported; the signal's reason. */
export async function needsOf(
  configs: Configs,
  signal?: AbortSignal,
): Promise<{ memory: MemoryNeed; branches: BranchNeed[] }> {
  const { height, width, unetPlan, vaePlan, weightsBf16 } = await plans(configs, signal);
  const scale = configs.vae ? latentsOfVae(JSON.parse(configs.vae)).scale : 8;
  const { textEncoder } = configs;
  const text = textEncoder ? native().weightShapes('text_encoder', textEncoder) : [];
  const weights = unetPlan.weightBytes + (vaePlan?.weightBytes ?? 0) + 4 * countParameters(text);
  const unet = bytesOf(unetPlan.full);
  const decoder = vaePlan ? bytesOf(vaePlan.decode) : 0;
  const twice = { batch: 1, height: 2 * height, width: 2 * width };
  const isVideo = unetDefaults(JSON.parse(configs.unet)).frames !== undefined;
  const large = configs.vae &&
    !isVideo && {
      width: 2 * width * scale,
      height: 2 * height * scale,
      decoder: bytesOf((await planVae(configs.vae, twice, signal)).decode),
      tiledDecoder: decoder,
    };
  return {
    memory: {
      width: width * scale,
      height: height * scale,
      weights,
      weightsBf16: weightsBf16 + 4 * countParameters(text) - 2 * countParameters(text.filter(isMatrix)),
      unet,
      decoder,
      total: weights + unet + decoder,
      ...(large && { large }),
    },
    branches: unetPlan.branches.map(({ branch, feature, featureShape, featureBytes, complete }) => ({
      branch,
      feature,
      featureShape,
      featureBytes,
      share: complete / unetPlan.full.complete,
    })),
  };
}

/** Of a text encoder: what is multiplied. Embeddings are looked up in fp32. */
function isMatrix({ name, shape }: TensorShape): boolean {
  return shape.length > 1 && !name.includes('embedding');
}

function bytesOf({ arenaBytes, externalBytes }: PlanInfo): number {
  return arenaBytes + externalBytes;
}
