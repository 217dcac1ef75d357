import { unetDefaults } from '../../configs/unet-size.js';
import { native } from '../../native/binding.js';
import type { PlanInfo, UnetPlanInfo, VaePlanInfo } from '../../native/types.js';
import { countParameters } from './component.js';

/** What a run needs, in bytes: one image or video of the model's own size, with classifier-free guidance. */
export interface MemoryNeed {
  /** Image pixels. */
  width: number;
  height: number;
  /** Of all networks, as they are kept for computing. */
  weights: number;
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
function plans({ unet, vae }: Configs): {
  height: number;
  width: number;
  unetPlan: UnetPlanInfo;
  vaePlan?: VaePlanInfo;
} {
  const { height, width, contextLength, frames = 1 } = unetDefaults(JSON.parse(unet));
  const unetPlan = native().planUnet(unet, {
    batch: GUIDED * frames,
    height,
    width,
    contextLength,
    frames,
  });
  // A video's frames are decoded at once.
  const vaePlan = vae && native().planVae(vae, { batch: frames, height, width });
  return { height, width, unetPlan, ...(vaePlan && { vaePlan }) };
}

/** Throws the native errors of configurations that are not supported. */
export function needsOf(configs: Configs): { memory: MemoryNeed; branches: BranchNeed[] } {
  const { height, width, unetPlan, vaePlan } = plans(configs);
  const scale = configs.vae ? 2 ** (JSON.parse(configs.vae).block_out_channels.length - 1) : 8;
  const text = configs.textEncoder ? native().weightShapes('text_encoder', configs.textEncoder) : [];
  const weights = unetPlan.weightBytes + (vaePlan?.weightBytes ?? 0) + 4 * countParameters(text);
  const unet = bytesOf(unetPlan.full);
  const decoder = vaePlan ? bytesOf(vaePlan.decode) : 0;
  const twice = { batch: 1, height: 2 * height, width: 2 * width };
  const isVideo = unetDefaults(JSON.parse(configs.unet)).frames !== undefined;
  const large = configs.vae &&
    !isVideo && {
      width: 2 * width * scale,
      height: 2 * height * scale,
      decoder: bytesOf(native().planVae(configs.vae, twice).decode),
      tiledDecoder: decoder,
    };
  return {
    memory: {
      width: width * scale,
      height: height * scale,
      weights,
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

function bytesOf({ arenaBytes, externalBytes }: PlanInfo): number {
  return arenaBytes + externalBytes;
}
