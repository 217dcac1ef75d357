import type { ImageInput } from '../../images/input.js';
import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import type { OptionsOf } from '../../options/spec/index.js';
import type { Valid } from '../../options/valid.js';
import type { XLEncodedPrompt } from '../conditioning/text-model.js';
import { xlText } from '../conditioning/xl-text.js';
import { imageToImage } from '../inputs/image-to-image.js';
import { inpainting } from '../inputs/inpainting.js';
import type { TextRunOptions } from '../inputs/options.js';
import { textToImage } from '../inputs/text-to-image.js';
import { readFolderFacts } from '../loading/folder-facts.js';
import type { XLParts } from '../loading/parts.js';
import { registerPipeline } from '../loading/registry.js';
import { loadXLParts } from '../loading/xl-parts.js';
import { latentFamily } from './latent.js';
import { TextPipeline } from './text-pipeline.js';

/** What SDXL takes. */
export interface XLOptions extends OptionsOf<'xl'> {}

/** What SDXL takes with a picture. */
export interface XLImg2ImgOptions extends OptionsOf<'xl-img2img'> {
  image: ImageInput;
}

/** What SDXL takes with a picture and a mask. */
export interface XLInpaintOptions extends OptionsOf<'xl-inpaint'> {
  image: ImageInput;
  maskImage: ImageInput;
}

/** What all models of the structure of Stable Diffusion XL are: base (two text encoders) and refiner (one). */
export const XL_MODEL = {
  parts: ['unet', 'vae', 'text'],
  loadParts: loadXLParts,
  readFacts: readFolderFacts,
  text: xlText,
} as const;

/** A pipeline over such a model. */
export abstract class StableDiffusionXL<Options extends XLOptions> extends TextPipeline<Options, XLParts> {
  protected override get textBranches() {
    return this.components.text;
  }

  get vae(): AutoencoderKL {
    return this.components.vae;
  }

  /** Encodes the prompts of a run (diffusers' encode_prompt), for several runs to use. */
  encodePrompt(options: Valid<Options> | Valid<XLOptions>): Promise<XLEncodedPrompt> {
    return this.beside(options as Options, (run: TextRunOptions) =>
      xlText.encodePrompt(this.components, run),
    );
  }
}

/** Text to image with Stable Diffusion XL. */
export class StableDiffusionXLPipeline extends StableDiffusionXL<XLOptions> {
  static override readonly family = latentFamily({
    ...XL_MODEL,
    className: 'StableDiffusionXLPipeline',
    second: () => StableDiffusionXLImg2ImgPipeline.family,
    options: 'xl',
    kind: textToImage(),
    guidanceScale: 5,
  });
}

/** Image to image with Stable Diffusion XL; also the refiner, which takes another run's latents as `image`. */
export class StableDiffusionXLImg2ImgPipeline extends StableDiffusionXL<XLImg2ImgOptions> {
  static override readonly family = latentFamily({
    ...XL_MODEL,
    className: 'StableDiffusionXLImg2ImgPipeline',
    options: 'xl-img2img',
    kind: imageToImage(0.3),
    guidanceScale: 5,
  });
}

/** Inpainting with Stable Diffusion XL: U-Nets of nine channels and ordinary ones. */
export class StableDiffusionXLInpaintPipeline extends StableDiffusionXL<XLInpaintOptions> {
  static override readonly family = latentFamily({
    ...XL_MODEL,
    className: 'StableDiffusionXLInpaintPipeline',
    options: 'xl-inpaint',
    kind: inpainting(0.9999),
  });
}

for (const pipeline of [
  StableDiffusionXLPipeline,
  StableDiffusionXLImg2ImgPipeline,
  StableDiffusionXLInpaintPipeline,
]) {
  registerPipeline(pipeline);
}
