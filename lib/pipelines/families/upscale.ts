import type { LoadedImages } from '../../images/input.js';
import { type UpscaleOptions, upscaling } from '../inputs/upscaling.js';
import { registerPipeline } from '../loading/registry.js';
import { UPSCALER } from '../loading/repairs.js';
import { loadUpscalerParts, readUpscalerFacts, type UpscalerParts } from '../loading/upscaler-parts.js';
import { latentFamily } from './latent.js';
import { SD_MODEL, StableDiffusion } from './stable-diffusion.js';

/** Enlarges a picture four times in each axis, as a prompt says, with the x4 upscaler of Stable Diffusion 2. */
export class StableDiffusionUpscalePipeline extends StableDiffusion<UpscaleOptions> {
  static override readonly family = latentFamily<UpscaleOptions, UpscalerParts, LoadedImages>({
    ...SD_MODEL,
    className: UPSCALER,
    parts: [...SD_MODEL.parts, 'lowResScheduler'],
    loadParts: loadUpscalerParts,
    readFacts: readUpscalerFacts,
    recommended: { steps: 75, guidanceScale: 9 },
    options: 'x4',
    kind: upscaling(),
  });
}

registerPipeline(StableDiffusionUpscalePipeline);
