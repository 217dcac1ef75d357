/**
 * `deepcache`: pipelines, pictures, devices, errors. Schedulers are in `deepcache/schedulers`, comparing and measuring in
 * `deepcache/evaluate`.
 */

export { type LoadLoraOptions, LoraPipeline } from './adapters/lora-pipeline.js';
export type { LoraInfo, LoraUse } from './adapters/loras.js';
export type { BlockScales, LoraScale } from './adapters/scale.js';
export type { ControlNetInfo } from './control/control-nets.js';
export { ControlPipeline, type LoadControlNetOptions } from './control/control-pipeline.js';
export type { ControlNetModel } from './control/controlnet-model.js';
export { type PreprocessOptions, type Preprocessor, preprocess } from './control/preprocess/preprocess.js';
export type {
  CacheOptions,
  CachePreset,
  CacheSettings,
  CallKind,
  ListedCache,
  NonuniformCache,
  PlannedCache,
  UniformCache,
} from './deepcache/index.js';
export type { TextualInversion } from './embeddings/textual-inversions.js';
export { DeepCacheError, type DeepCacheErrorCode, ERROR_CODES } from './errors.js';
export type { FreeU } from './guidance/free-u.js';
export type { GuiderName, GuiderOptions } from './guidance/guiders.js';
export type { HiresFix } from './hires/options.js';
export type { DownloadProgress } from './hub/fetch-model.js';
export * from './images/image.js';
export type { ImageInput, ImageSource, RawImage } from './images/input.js';
export { type SaveVideoOptions, saveVideo } from './images/video.js';
export type { Log } from './log.js';
export type { AutoencoderKL } from './models/autoencoder-kl.js';
export type { CLIPVisionModelWithProjection } from './models/image-encoder.js';
export type { CLIPTextModel, EncodeTextOptions, TextEncoderOutput } from './models/text-encoder.js';
export type { BranchInfo, MacsInfo, SizeOptions, UNet2DConditionModel, UNetModel } from './models/unet.js';
export type { UNetMotionModel } from './models/unet-motion.js';
export type { UNetSpatioTemporalConditionModel } from './models/unet-spatio-temporal.js';
export { type Device, type DeviceOptions, devices } from './native/device.js';
export type { DeviceInfo } from './native/types.js';
export type { FreeNoiseOptions } from './options/free-noise.js';
export type {
  AnimateDiffOptions,
  ClassConditionalLDMOptions,
  DDPMOptions,
  Depth2ImgOptions,
  GenerateOptions,
  Img2ImgOptions,
  InpaintOptions,
  Pix2PixOptions,
  StableDiffusionUpscaleOptions,
  TextToVideoZeroOptions,
  VideoOptions,
  XLImg2ImgOptions,
  XLInpaintOptions,
  XLOptions,
} from './options/public.js';
export type { Dtype } from './options/spec/loading.js';
export type { VaeTilingOptions } from './options/tiling.js';
export type { EncodedPrompt, XLEncodedPrompt } from './pipelines/conditioning/text-model.js';
export { DiffusionPipeline } from './pipelines/diffusion-pipeline.js';
export { AnimateDiffPipeline } from './pipelines/families/animatediff.js';
export { pipelineForInputs } from './pipelines/families/auto.js';
export { ClassConditionalLDMPipeline } from './pipelines/families/class-conditional-ldm.js';
export {
  StableDiffusionControlNetImg2ImgPipeline,
  StableDiffusionControlNetInpaintPipeline,
  StableDiffusionControlNetPipeline,
  StableDiffusionXLControlNetImg2ImgPipeline,
  StableDiffusionXLControlNetInpaintPipeline,
  StableDiffusionXLControlNetPipeline,
  StableDiffusionXLControlNetUnionImg2ImgPipeline,
  StableDiffusionXLControlNetUnionInpaintPipeline,
  StableDiffusionXLControlNetUnionPipeline,
} from './pipelines/families/controlnet.js';
export { DDPMPipeline } from './pipelines/families/ddpm.js';
export { StableDiffusionDepth2ImgPipeline } from './pipelines/families/depth2img.js';
export {
  LatentConsistencyModelImg2ImgPipeline,
  LatentConsistencyModelPipeline,
} from './pipelines/families/latent-consistency.js';
export {
  StableDiffusionPAGImg2ImgPipeline,
  StableDiffusionPAGInpaintPipeline,
  StableDiffusionPAGPipeline,
  StableDiffusionXLPAGImg2ImgPipeline,
  StableDiffusionXLPAGInpaintPipeline,
  StableDiffusionXLPAGPipeline,
} from './pipelines/families/pag.js';
export { StableDiffusionInstructPix2PixPipeline } from './pipelines/families/pix2pix.js';
export { StableDiffusionSAGPipeline } from './pipelines/families/sag.js';
export {
  StableDiffusionImg2ImgPipeline,
  StableDiffusionImg2ImgPipeline as Img2Img,
  StableDiffusionInpaintPipeline,
  StableDiffusionInpaintPipeline as Inpaint,
  StableDiffusionPipeline,
} from './pipelines/families/stable-diffusion.js';
export {
  StableDiffusionXLImg2ImgPipeline,
  StableDiffusionXLInpaintPipeline,
  StableDiffusionXLPipeline,
} from './pipelines/families/stable-diffusion-xl.js';
export { StableVideoDiffusionPipeline } from './pipelines/families/stable-video-diffusion.js';
export {
  StableDiffusionAdapterPipeline,
  StableDiffusionXLAdapterPipeline,
} from './pipelines/families/t2i-adapter.js';
export type { TextPipeline, TextualInversionOptions } from './pipelines/families/text-pipeline.js';
export { TextToVideoZeroPipeline } from './pipelines/families/text-to-video-zero.js';
export { StableDiffusionUpscalePipeline } from './pipelines/families/upscale.js';
export type { Seed } from './pipelines/inputs/seeds.js';
export type { ModelName } from './pipelines/loading/model-name.js';
export type { GenerationDefaults, LoadOptions } from './pipelines/loading/parts.js';
export type { ComputedCalls } from './pipelines/loop/calls.js';
export type {
  GenerateResult,
  GenerateStats,
  ImageResult,
  OutputKind,
  RunReport,
  StepEvent,
  TensorResult,
} from './pipelines/outputs/result.js';
export type { StreamEvent } from './pipelines/stream.js';
export type { FoundPlan, ModelPlans } from './plans/model-plans.js';
export type { PlanFigures, PlannedRun, SavedPlan } from './plans/saved-plan.js';
export type { LatentPreview } from './previews/latent-preview.js';
export {
  type SamplerOptions,
  Scheduler,
  type SchedulerConfig,
  type SchedulerName,
} from './schedulers/index.js';
export { type PictureSettings, readSettings } from './settings/read.js';
export { type LoadT2IAdapterOptions, T2IAdapterPipeline } from './t2i-adapter/t2i-adapter-pipeline.js';
export type { T2IAdapterInfo } from './t2i-adapter/t2i-adapters.js';
export type { Tensor } from './tensor.js';
export { CLIPTokenizer, type EncodePaddedOptions } from './tokenizers/clip-tokenizer.js';
export type { Upscale } from './upscale/option.js';
export { type UpscaleOptions, Upscaler, type UpscalerLoadOptions } from './upscale/upscaler.js';
