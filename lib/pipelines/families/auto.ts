import { DeepCacheError } from '../../errors.js';
import type { AnyPipeline } from '../diffusion-pipeline.js';
import { findPipeline, type PipelineClass } from '../loading/registry.js';

/** Pipelines from pictures, by the parts that they share with others. */
const FROM_PICTURES = [
  { part: 'text', image: 'StableDiffusionXLImg2ImgPipeline', mask: 'StableDiffusionXLInpaintPipeline' },
  { part: 'textEncoder', image: 'StableDiffusionImg2ImgPipeline', mask: 'StableDiffusionInpaintPipeline' },
];

/**
 * The pipeline over the same models that starts from a picture, or from a picture and a mask (diffusers:
 * AutoPipelineForImage2Image.from_pipe and AutoPipelineForInpainting.from_pipe). Dispose it too.
 */
export function pipelineForInputs(pipe: AnyPipeline, inputs: { image: boolean; mask: boolean }): AnyPipeline {
  const { family } = pipe.constructor as unknown as PipelineClass;
  const names = FROM_PICTURES.find(({ part }) => family.parts.includes(part));
  const found = names && findPipeline(inputs.mask ? names.mask : names.image);
  if (found) return (found as unknown as { from(pipe: AnyPipeline): AnyPipeline }).from(pipe);
  throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `${family.className} does not start from pictures`);
}
