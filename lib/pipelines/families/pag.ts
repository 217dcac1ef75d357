import { type Img2ImgOptions, imageToImage } from '../inputs/image-to-image.js';
import { type InpaintOptions, inpainting } from '../inputs/inpainting.js';
import type { GenerateOptions } from '../inputs/options.js';
import { textToImage } from '../inputs/text-to-image.js';
import { registerPipeline } from '../loading/registry.js';
import { latentFamily } from './latent.js';
import { SD_MODEL, StableDiffusion } from './stable-diffusion.js';
import {
  StableDiffusionXL,
  XL_MODEL,
  type XLImg2ImgOptions,
  type XLInpaintOptions,
  type XLOptions,
} from './stable-diffusion-xl.js';

// Perturbed-attention guidance by default, as in diffusers' pipelines of these names; all others take its options too.

const recommended = { pagScale: 3 };

/** Text to image with Stable Diffusion and perturbed-attention guidance. */
export class StableDiffusionPAGPipeline extends StableDiffusion<GenerateOptions> {
  static override readonly family = latentFamily({
    ...SD_MODEL,
    className: 'StableDiffusionPAGPipeline',
    recommended,
    options: 'text2img',
    kind: textToImage(),
  });
}

/** Image to image with Stable Diffusion and perturbed-attention guidance. */
export class StableDiffusionPAGImg2ImgPipeline extends StableDiffusion<Img2ImgOptions> {
  static override readonly family = latentFamily({
    ...SD_MODEL,
    className: 'StableDiffusionPAGImg2ImgPipeline',
    recommended,
    options: 'img2img',
    kind: imageToImage(0.8),
  });
}

/** Inpainting with Stable Diffusion and perturbed-attention guidance. */
export class StableDiffusionPAGInpaintPipeline extends StableDiffusion<InpaintOptions> {
  static override readonly family = latentFamily({
    ...SD_MODEL,
    className: 'StableDiffusionPAGInpaintPipeline',
    recommended,
    options: 'inpaint',
    kind: inpainting(0.9999),
  });
}

/** Text to image with SDXL and perturbed-attention guidance. */
export class StableDiffusionXLPAGPipeline extends StableDiffusionXL<XLOptions> {
  static override readonly family = latentFamily({
    ...XL_MODEL,
    className: 'StableDiffusionXLPAGPipeline',
    recommended,
    options: 'xl',
    kind: textToImage(),
    guidanceScale: 5,
  });
}

/** Image to image with SDXL and perturbed-attention guidance. */
export class StableDiffusionXLPAGImg2ImgPipeline extends StableDiffusionXL<XLImg2ImgOptions> {
  static override readonly family = latentFamily({
    ...XL_MODEL,
    className: 'StableDiffusionXLPAGImg2ImgPipeline',
    recommended,
    options: 'xl-img2img',
    kind: imageToImage(0.3),
    guidanceScale: 5,
  });
}

/** Inpainting with SDXL and perturbed-attention guidance. */
export class StableDiffusionXLPAGInpaintPipeline extends StableDiffusionXL<XLInpaintOptions> {
  static override readonly family = latentFamily({
    ...XL_MODEL,
    className: 'StableDiffusionXLPAGInpaintPipeline',
    recommended,
    options: 'xl-inpaint',
    kind: inpainting(0.9999),
    guidanceScale: 7.5,
  });
}

for (const pipeline of [
  StableDiffusionPAGPipeline,
  StableDiffusionPAGImg2ImgPipeline,
  StableDiffusionPAGInpaintPipeline,
  StableDiffusionXLPAGPipeline,
  StableDiffusionXLPAGImg2ImgPipeline,
  StableDiffusionXLPAGInpaintPipeline,
]) {
  registerPipeline(pipeline);
}
