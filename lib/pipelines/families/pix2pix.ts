import { type EditOptions, editing } from '../inputs/edit-image.js';
import { registerPipeline } from '../loading/registry.js';
import { latentFamily } from './latent.js';
import { SD_MODEL, StableDiffusion } from './stable-diffusion.js';

/** Changes a picture as a prompt says, with models of InstructPix2Pix. */
export class StableDiffusionInstructPix2PixPipeline extends StableDiffusion<EditOptions> {
  static override readonly family = latentFamily({
    ...SD_MODEL,
    className: 'StableDiffusionInstructPix2PixPipeline',
    recommended: { steps: 100 },
    options: 'pix2pix',
    kind: editing(),
  });
}

registerPipeline(StableDiffusionInstructPix2PixPipeline);
