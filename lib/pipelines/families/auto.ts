import { DeepCacheError } from '../../errors.js';
import type { DiffusionPipeline } from '../diffusion-pipeline.js';
import { StableDiffusion } from './stable-diffusion.js';
import { StableDiffusionImg2ImgPipeline } from './stable-diffusion-img2img.js';
import { StableDiffusionInpaintPipeline } from './stable-diffusion-inpaint.js';
import {
  StableDiffusionXL,
  StableDiffusionXLImg2ImgPipeline,
  StableDiffusionXLInpaintPipeline,
} from './stable-diffusion-xl.js';

// biome-ignore lint/suspicious/noExplicitAny: pipelines differ in their options and parts
type AnyPipeline = DiffusionPipeline<any, any>;

/**
 * The pipeline over the same models that starts from a picture, or from a picture and a mask (diffusers:
 * AutoPipelineForImage2Image.from_pipe and AutoPipelineForInpainting.from_pipe). Dispose it too.
 */
export function pipelineForInputs(pipe: AnyPipeline, inputs: { image: boolean; mask: boolean }): AnyPipeline {
  if (pipe instanceof StableDiffusionXL) {
    return inputs.mask
      ? StableDiffusionXLInpaintPipeline.from(pipe)
      : StableDiffusionXLImg2ImgPipeline.from(pipe);
  }
  if (pipe instanceof StableDiffusion) {
    return inputs.mask
      ? StableDiffusionInpaintPipeline.from(pipe)
      : StableDiffusionImg2ImgPipeline.from(pipe);
  }
  throw new DeepCacheError(
    'ERR_DEEPCACHE_UNSUPPORTED',
    `${(pipe.constructor as { className?: string }).className} does not start from pictures`,
  );
}
