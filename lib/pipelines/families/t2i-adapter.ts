import type { GenerateOptions } from '../inputs/options.js';
import { textToImage } from '../inputs/text-to-image.js';
import { registerPipeline } from '../loading/registry.js';
import { latentFamily } from './latent.js';
import { SD_MODEL, StableDiffusion } from './stable-diffusion.js';
import { StableDiffusionXL, XL_MODEL, type XLOptions } from './stable-diffusion-xl.js';

/** Text to image with Stable Diffusion and the T2I-Adapters in its folder, or others. */
export class StableDiffusionAdapterPipeline extends StableDiffusion<GenerateOptions> {
  static override readonly family = latentFamily({
    ...SD_MODEL,
    className: 'StableDiffusionAdapterPipeline',
    options: 'text2img',
    kind: textToImage(),
  });
}

/** Text to image with SDXL and T2I-Adapters. */
export class StableDiffusionXLAdapterPipeline extends StableDiffusionXL<XLOptions> {
  static override readonly family = latentFamily({
    ...XL_MODEL,
    className: 'StableDiffusionXLAdapterPipeline',
    options: 'xl',
    kind: textToImage(),
    guidanceScale: 5,
  });
}

for (const pipeline of [StableDiffusionAdapterPipeline, StableDiffusionXLAdapterPipeline]) {
  registerPipeline(pipeline);
}
