import type { OptionsOf } from './spec/index.js';
import type { Valid } from './valid.js';

// Pipelines work on the fields alone, whatever their combination: it has been checked by then.

/** Options of text to image with Stable Diffusion: `prompt` or `promptEmbeds`, and what docs/options.md lists. */
export type GenerateOptions = Valid<OptionsOf<'text2img'>>;

/** Options of image to image with Stable Diffusion: those of text to image, and `image`. */
export type Img2ImgOptions = Valid<OptionsOf<'img2img'>>;

/** Options of inpainting with Stable Diffusion: those of text to image, `image` and `maskImage`. */
export type InpaintOptions = Valid<OptionsOf<'inpaint'>>;

/** Options of InstructPix2Pix: those of text to image, `image` and `imageGuidanceScale`. */
export type Pix2PixOptions = Valid<OptionsOf<'pix2pix'>>;

/** Options of depth to image: those of image to image, and `depthMap`. */
export type Depth2ImgOptions = Valid<OptionsOf<'depth2img'>>;

/** Options of the x4 upscaler: those of text to image, `image` and `noiseLevel`; networks beside the U-Net are none. */
export type StableDiffusionUpscaleOptions = Valid<OptionsOf<'x4'>>;

/** Options of text to image with SDXL. `promptEmbeds` go with `pooledPromptEmbeds`. */
export type XLOptions = Valid<OptionsOf<'xl'>>;

/** Options of image to image with SDXL, of its refiner too: `image` may be another run's latents. */
export type XLImg2ImgOptions = Valid<OptionsOf<'xl-img2img'>>;

/** Options of inpainting with SDXL. */
export type XLInpaintOptions = Valid<OptionsOf<'xl-inpaint'>>;

/** Options of Stable Video Diffusion: `image` is the picture that the video begins with. */
export type VideoOptions = Valid<OptionsOf<'svd'>>;

/** Options of AnimateDiff: those of text to image, but for ControlNets, and `numFrames`. */
export type AnimateDiffOptions = Valid<OptionsOf<'animatediff'>>;

/** Options of Text2Video-Zero; there is one prompt. */
export type TextToVideoZeroOptions = Valid<OptionsOf<'zero'>>;

/** Options of DDPM; all have defaults. */
export type DDPMOptions = Valid<OptionsOf<'ddpm'>>;

/** Options of class-conditional models: `classLabels` says what the pictures show. */
export type ClassConditionalLDMOptions = Valid<OptionsOf<'ldm'>>;
