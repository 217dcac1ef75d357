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

/** Text to image with Stable Diffusion and the ControlNets in its folder, or others. */
export class StableDiffusionControlNetPipeline extends StableDiffusion<GenerateOptions> {
  static override readonly family = latentFamily({
    ...SD_MODEL,
    className: 'StableDiffusionControlNetPipeline',
    second: () => StableDiffusionControlNetImg2ImgPipeline.family,
    options: 'text2img',
    kind: textToImage(),
  });
}

/** Image to image with Stable Diffusion and ControlNets. */
export class StableDiffusionControlNetImg2ImgPipeline extends StableDiffusion<Img2ImgOptions> {
  static override readonly family = latentFamily({
    ...SD_MODEL,
    className: 'StableDiffusionControlNetImg2ImgPipeline',
    options: 'img2img',
    kind: imageToImage(0.8),
  });
}

/** Inpainting with Stable Diffusion and ControlNets. */
export class StableDiffusionControlNetInpaintPipeline extends StableDiffusion<InpaintOptions> {
  static override readonly family = latentFamily({
    ...SD_MODEL,
    className: 'StableDiffusionControlNetInpaintPipeline',
    options: 'inpaint',
    kind: inpainting(1),
  });
}

/** Text to image with SDXL and ControlNets. */
export class StableDiffusionXLControlNetPipeline extends StableDiffusionXL<XLOptions> {
  static override readonly family = latentFamily({
    ...XL_MODEL,
    className: 'StableDiffusionXLControlNetPipeline',
    second: () => StableDiffusionXLControlNetImg2ImgPipeline.family,
    options: 'xl',
    kind: textToImage(),
    guidanceScale: 5,
  });
}

/** Image to image with SDXL and ControlNets. */
export class StableDiffusionXLControlNetImg2ImgPipeline extends StableDiffusionXL<XLImg2ImgOptions> {
  static override readonly family = latentFamily({
    ...XL_MODEL,
    className: 'StableDiffusionXLControlNetImg2ImgPipeline',
    options: 'xl-img2img',
    kind: imageToImage(0.8),
    guidanceScale: 5,
  });
}

/** Inpainting with SDXL and ControlNets. */
export class StableDiffusionXLControlNetInpaintPipeline extends StableDiffusionXL<XLInpaintOptions> {
  static override readonly family = latentFamily({
    ...XL_MODEL,
    className: 'StableDiffusionXLControlNetInpaintPipeline',
    options: 'xl-inpaint',
    kind: inpainting(0.9999),
    guidanceScale: 5,
  });
}

/** Text to image with SDXL and a ControlNet of several kinds of pictures. */
export class StableDiffusionXLControlNetUnionPipeline extends StableDiffusionXL<XLOptions> {
  static override readonly family = latentFamily({
    ...XL_MODEL,
    className: 'StableDiffusionXLControlNetUnionPipeline',
    options: 'xl',
    kind: textToImage(),
    guidanceScale: 5,
  });
}

/** Image to image with SDXL and a ControlNet of several kinds of pictures. */
export class StableDiffusionXLControlNetUnionImg2ImgPipeline extends StableDiffusionXL<XLImg2ImgOptions> {
  static override readonly family = latentFamily({
    ...XL_MODEL,
    className: 'StableDiffusionXLControlNetUnionImg2ImgPipeline',
    options: 'xl-img2img',
    kind: imageToImage(0.8),
    guidanceScale: 5,
  });
}

/** Inpainting with SDXL and a ControlNet of several kinds of pictures. */
export class StableDiffusionXLControlNetUnionInpaintPipeline extends StableDiffusionXL<XLInpaintOptions> {
  static override readonly family = latentFamily({
    ...XL_MODEL,
    className: 'StableDiffusionXLControlNetUnionInpaintPipeline',
    options: 'xl-inpaint',
    kind: inpainting(0.9999),
    guidanceScale: 5,
  });
}

for (const pipeline of [
  StableDiffusionControlNetPipeline,
  StableDiffusionControlNetImg2ImgPipeline,
  StableDiffusionControlNetInpaintPipeline,
  StableDiffusionXLControlNetPipeline,
  StableDiffusionXLControlNetImg2ImgPipeline,
  StableDiffusionXLControlNetInpaintPipeline,
  StableDiffusionXLControlNetUnionPipeline,
  StableDiffusionXLControlNetUnionImg2ImgPipeline,
  StableDiffusionXLControlNetUnionInpaintPipeline,
]) {
  registerPipeline(pipeline);
}
