/**
 * `deepcache`: pipelines, pictures, devices, errors. Schedulers are in `deepcache/schedulers`, comparing and measuring in
 * `deepcache/evaluate`.
 */

export type { CacheOptions, CachePreset, CacheSettings } from './deepcache/index.js';
export { DeepCacheError, type DeepCacheErrorCode, ERROR_CODES } from './errors.js';
export * from './images/image.js';
export type { ImageInput, ImageSource, RawImage } from './images/input.js';
export { type SaveVideoOptions, saveVideo } from './images/video.js';
export type { Log } from './log.js';
export type { AutoencoderKL } from './models/autoencoder-kl.js';
export type { CLIPVisionModelWithProjection } from './models/image-encoder.js';
export type { CLIPTextModel, TextEncoderOutput } from './models/text-encoder.js';
export type { BranchInfo, MacsInfo, SizeOptions, UNet2DConditionModel } from './models/unet.js';
export type { UNetSpatioTemporalConditionModel } from './models/unet-spatio-temporal.js';
export { type Device, type DeviceOptions, devices } from './native/device.js';
export type { DeviceInfo } from './native/types.js';
export type { Dtype } from './options/spec/loading.js';
export type { VaeTilingOptions } from './options/tiling.js';
export { pipelineForInputs } from './pipelines/auto.js';
export {
  type ClassConditionalLDMOptions,
  ClassConditionalLDMPipeline,
} from './pipelines/class-conditional-ldm.js';
export type { LoadOptions } from './pipelines/components.js';
export { type DDPMOptions, DDPMPipeline } from './pipelines/ddpm.js';
export { DiffusionPipeline, type StreamEvent } from './pipelines/diffusion-pipeline.js';
export type { GenerationDefaults } from './pipelines/generation-config.js';
export type { Img2ImgOptions } from './pipelines/image-to-image.js';
export type { InpaintOptions } from './pipelines/inpainting.js';
export { LatentConsistencyModelPipeline } from './pipelines/latent-consistency.js';
export type { EncodedPrompt } from './pipelines/latent-pipeline.js';
export type { ModelName } from './pipelines/model-name.js';
export type { GenerateOptions } from './pipelines/options.js';
export type { GenerateResult, GenerateStats, StepEvent } from './pipelines/result.js';
export type { SamplingOptions } from './pipelines/sampling-options.js';
export type { Seed } from './pipelines/seeds.js';
export { StableDiffusionPipeline } from './pipelines/stable-diffusion.js';
export { StableDiffusionImg2ImgPipeline } from './pipelines/stable-diffusion-img2img.js';
export { StableDiffusionInpaintPipeline } from './pipelines/stable-diffusion-inpaint.js';
export {
  StableDiffusionXLImg2ImgPipeline,
  StableDiffusionXLInpaintPipeline,
  StableDiffusionXLPipeline,
  type XLImg2ImgOptions,
  type XLInpaintOptions,
  type XLOptions,
} from './pipelines/stable-diffusion-xl.js';
export { StableVideoDiffusionPipeline, type VideoOptions } from './pipelines/stable-video-diffusion.js';
export { type TextToVideoZeroOptions, TextToVideoZeroPipeline } from './pipelines/text-to-video-zero.js';
export type { LatentPreview } from './previews/latent-preview.js';
export type { SamplerOptions, Scheduler, SchedulerConfig } from './schedulers/index.js';
export type { Tensor } from './tensor.js';
export type { CLIPTokenizer, EncodePaddedOptions } from './tokenizers/clip-tokenizer.js';
