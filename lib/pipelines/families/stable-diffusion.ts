import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import type { CLIPTextModel } from '../../models/text-encoder.js';
import type { Valid } from '../../options/valid.js';
import type { CLIPTokenizer } from '../../tokenizers/clip-tokenizer.js';
import { sdText } from '../conditioning/sd-text.js';
import type { EncodedPrompt } from '../conditioning/text-model.js';
import { type Img2ImgOptions, imageToImage } from '../inputs/image-to-image.js';
import { type InpaintOptions, inpainting } from '../inputs/inpainting.js';
import type { GenerateOptions, TextRunOptions } from '../inputs/options.js';
import { textToImage } from '../inputs/text-to-image.js';
import { readFolderFacts } from '../loading/folder-facts.js';
import type { SDParts } from '../loading/parts.js';
import { registerPipeline } from '../loading/registry.js';
import { loadSDParts } from '../loading/sd-parts.js';
import { latentFamily } from './latent.js';
import { TextPipeline } from './text-pipeline.js';

/** What all models of the structure of Stable Diffusion 1.x and 2.x are: one text encoder. */
export const SD_MODEL = {
  parts: ['unet', 'vae', 'textEncoder', 'tokenizer'],
  loadParts: loadSDParts,
  readFacts: readFolderFacts,
  text: sdText,
} as const;

/** A pipeline over such a model. */
export abstract class StableDiffusion<Options extends GenerateOptions> extends TextPipeline<
  Options,
  SDParts
> {
  protected override get textBranches() {
    return [{ tokenizer: this.components.tokenizer, encoder: this.components.textEncoder }];
  }

  get vae(): AutoencoderKL {
    return this.components.vae;
  }

  /** Encodes the prompts of a run (diffusers' encode_prompt), for several runs to use. */
  encodePrompt(options: Valid<Options> | Valid<GenerateOptions>): Promise<EncodedPrompt> {
    return this.beside(options as Options, (run: TextRunOptions) =>
      sdText.encodePrompt(this.components, run),
    );
  }

  get textEncoder(): CLIPTextModel {
    return this.components.textEncoder;
  }

  get tokenizer(): CLIPTokenizer {
    return this.components.tokenizer;
  }
}

/** Text to image with Stable Diffusion 1.x, 2.x and models of their structure. */
export class StableDiffusionPipeline extends StableDiffusion<GenerateOptions> {
  static override readonly family = latentFamily({
    ...SD_MODEL,
    className: 'StableDiffusionPipeline',
    second: () => StableDiffusionImg2ImgPipeline.family,
    options: 'text2img',
    kind: textToImage(),
  });
}

/** Image to image with Stable Diffusion 1.x and 2.x. */
export class StableDiffusionImg2ImgPipeline extends StableDiffusion<Img2ImgOptions> {
  static override readonly family = latentFamily({
    ...SD_MODEL,
    className: 'StableDiffusionImg2ImgPipeline',
    options: 'img2img',
    kind: imageToImage(0.8),
  });
}

/** Inpainting with Stable Diffusion 1.x and 2.x: U-Nets of nine channels and ordinary ones. */
export class StableDiffusionInpaintPipeline extends StableDiffusion<InpaintOptions> {
  static override readonly family = latentFamily({
    ...SD_MODEL,
    className: 'StableDiffusionInpaintPipeline',
    options: 'inpaint',
    kind: inpainting(1),
  });
}

for (const pipeline of [
  StableDiffusionPipeline,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionInpaintPipeline,
]) {
  registerPipeline(pipeline);
}
