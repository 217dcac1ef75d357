import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';
import { checkImageEncoder } from './clip-vision.js';
import { checkControlNet, checkControlNetUnion, checkControlPipeline } from './control.js';
import {
  checkDdpmForward,
  checkDdpmNonuniform,
  checkDdpmRetrieve,
  checkDdpmSample,
  checkDdpmTable,
  checkDdpmTimesteps,
} from './ddpm.js';
import {
  checkBlur,
  checkFreeU,
  checkGuidanceEmbedding,
  checkGuidanceRescale,
  checkGuider,
} from './guidance.js';
import { checkHiresFix } from './hires.js';
import { checkIpAdapter, checkIpAdapterPipeline } from './ip-adapter.js';
import {
  checkClassEmbedder,
  checkLdmForward,
  checkLdmNonuniform,
  checkLdmRetrieve,
  checkLdmSample,
  checkLdmTable,
  checkVqDecode,
} from './ldm.js';
import { checkLoraDelta, checkLoraPipeline, checkLoraSequence } from './lora.js';
import { checkMotionUnet } from './motion.js';
import { checkPaperPipeline } from './paper-pipeline.js';
import { checkMaliciousPickle, checkPickle } from './pickles.js';
import { checkPipeline, checkStalePipeline } from './pipeline.js';
import { checkRandom } from './random.js';
import {
  checkBetaQuantiles,
  checkBetaSigmas,
  checkBrownian,
  checkScheduler,
  checkZeroSnrTables,
} from './scheduler.js';
import { checkSingleFileMapping, checkSingleFileMissing, checkSingleFilePipeline } from './single-file.js';
import { checkStepListRow } from './step-list.js';
import {
  checkClipPreprocess,
  checkClipVision,
  checkVideoDeepCache,
  checkVideoPipeline,
  checkVideoTable,
  checkVideoUnet,
  checkVideoVaeDecode,
  checkVideoVaeEncode,
  checkVideoVaePreprocess,
} from './svd.js';
import { checkT2IAdapter, checkT2IAdapterPipeline } from './t2i-adapter.js';
import { checkCrossFrameUnet, checkVideoZero, checkWarp } from './t2v-zero.js';
import { checkEncodePrompt, checkTextEncoder, checkTimeIds } from './text.js';
import { checkInversionEncode, checkInversionPipeline, checkTextChunks } from './textual-inversion.js';
import { checkTokenizerRow } from './tokenizer.js';
import { checkDeepCache, checkDeepCacheInputs, checkUnet, checkUnetActivations } from './unet.js';
import { checkInterpolate, checkUpscaler } from './upscalers.js';
import {
  checkLatentsToZ,
  checkMaskedDecode,
  checkTinyEncode,
  checkTinyScale,
  checkVaeDecode,
  checkVaeEncode,
} from './vae.js';

/**
 * Computes what a golden expects and records how it compares. An ERR_DEEPCACHE_UNSUPPORTED that it throws makes the
 * case "not supported yet", any other error a failure.
 */
export type Check = (golden: GoldenCase, findings: Findings, models: Models) => void | Promise<void>;

/** Kinds without a check are not supported yet. */
const CHECKS: Readonly<Record<string, Check>> = {
  text_encoder: checkTextEncoder,
  add_time_ids: checkTimeIds,
  encode_prompt: checkEncodePrompt,
  textual_inversion_encode: checkInversionEncode,
  textual_inversion_pipeline: checkInversionPipeline,
  text_chunks: checkTextChunks,
  unet: checkUnet,
  controlnet: checkControlNet,
  controlnet_union: checkControlNetUnion,
  controlnet_pipeline: checkControlPipeline,
  t2i_adapter: checkT2IAdapter,
  t2i_adapter_pipeline: checkT2IAdapterPipeline,
  unet_intermediate: checkUnetActivations,
  unet_motion_intermediate: checkMotionUnet,
  vae_encode: checkVaeEncode,
  vae_decode: checkVaeDecode,
  vae_tiny_encode: checkTinyEncode,
  vae_tiny_decode: checkVaeDecode,
  vae_tiny_scale: checkTinyScale,
  vae_asym_decode: checkMaskedDecode,
  latents_to_z: checkLatentsToZ,
  hires_fix: checkHiresFix,
  upscaler: checkUpscaler,
  upscaler_tiled: checkUpscaler,
  interpolate: checkInterpolate,
  deepcache_unet_inputs: checkDeepCacheInputs,
  deepcache_unet: checkDeepCache,
  pipeline: checkPipeline,
  clip_vision: checkImageEncoder,
  ip_adapter: checkIpAdapter,
  ip_adapter_pipeline: checkIpAdapterPipeline,
  lora_delta: checkLoraDelta,
  lora_pipeline: checkLoraPipeline,
  lora_pipeline_sequence: checkLoraSequence,
  pipeline_stale_helper: checkStalePipeline,
  paper_pipeline: checkPaperPipeline,
  scheduler_trace: checkScheduler,
  betas: checkScheduler,
  scheduler_tables: checkZeroSnrTables,
  beta_ppf: checkBetaQuantiles,
  beta_sigmas: checkBetaSigmas,
  brownian: checkBrownian,
  rescale_noise_cfg: checkGuidanceRescale,
  guidance_scale_embedding: checkGuidanceEmbedding,
  guider: checkGuider,
  gaussian_blur_2d: checkBlur,
  freeu_fourier: checkFreeU,
  freeu_apply: checkFreeU,
  f32: checkRandom,
  f64: checkRandom,
  f16: checkRandom,
  latents: checkRandom,
  latents_f16: checkRandom,
  seed_minus1: checkRandom,
  rand_f32: checkRandom,
  seq: checkRandom,
  raw_u32: checkRandom,
  tokenizer: checkTokenizerRow,
  step_list: checkStepListRow,
  single_file_mapping: checkSingleFileMapping,
  single_file_pipeline: checkSingleFilePipeline,
  single_file_missing: checkSingleFileMissing,
  single_file_pickle: checkPickle,
  single_file_pickle_malicious: checkMaliciousPickle,
  'ddpm/forward': checkDdpmForward,
  'ddpm/deepcache_forward': checkDdpmRetrieve,
  'ddpm/sample_baseline': checkDdpmSample,
  'ddpm/sample_ddpm': checkDdpmSample,
  'ddpm/sample_deepcache': checkDdpmSample,
  'ddpm/table': checkDdpmTable,
  'ddpm/seq_table': checkDdpmTimesteps,
  'ddpm/nonuniform_table': checkDdpmNonuniform,
  'ldm/table': checkLdmTable,
  'ldm/class_embed': checkClassEmbedder,
  'ldm/forward': checkLdmForward,
  'ldm/deepcache_forward': checkLdmRetrieve,
  'ldm/vq_decode': checkVqDecode,
  'ldm/sample': checkLdmSample,
  'ldm/nonuniform_table': checkLdmNonuniform,
  'svd/clip_preprocess': checkClipPreprocess,
  'svd/clip_vision': checkClipVision,
  'svd/pipeline': checkVideoPipeline,
  'svd/table': checkVideoTable,
  'svd/unet_deepcache': checkVideoDeepCache,
  'svd/unet_forward': checkVideoUnet,
  'svd/vae_decode': checkVideoVaeDecode,
  'svd/vae_encode': checkVideoVaeEncode,
  'svd/vae_preprocess': checkVideoVaePreprocess,
  't2v_zero/pipeline': checkVideoZero,
  't2v_zero/unet_forward': checkCrossFrameUnet,
  't2v_zero/warp': checkWarp,
};

export function findCheck(kind: string): Check | undefined {
  return Object.hasOwn(CHECKS, kind) ? CHECKS[kind] : undefined;
}
