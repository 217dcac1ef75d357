import { DeepCacheError } from '../../errors.js';
import type { AnyPipeline } from '../diffusion-pipeline.js';
import { findPipeline, type PipelineClass } from '../loading/registry.js';

/** What a pipeline over a model's parts starts from besides a text. */
export interface GivenInputs {
  readonly image: boolean;
  readonly mask: boolean;
}

/** Pipelines from pictures, by the parts that they share with others. */
const FROM_PICTURES = [
  { part: 'text', image: 'StableDiffusionXLImg2ImgPipeline', mask: 'StableDiffusionXLInpaintPipeline' },
  { part: 'textEncoder', image: 'StableDiffusionImg2ImgPipeline', mask: 'StableDiffusionInpaintPipeline' },
];

/** Models that start from a picture whatever is done with them. */
const FROM_PICTURES_ALONE: readonly string[] = [
  'StableDiffusionInstructPix2PixPipeline',
  'StableDiffusionDepth2ImgPipeline',
  'StableDiffusionUpscalePipeline',
];

/** The class of pipelines over the models of another one that starts from pictures; undefined: there is none. */
export function classForInputs(className: string, { mask }: GivenInputs): string | undefined {
  if (FROM_PICTURES_ALONE.includes(className)) return mask ? undefined : className;
  // It repaints a part of a picture, and does nothing else with one.
  if (className === 'DDPMPipeline') return mask ? className : undefined;
  if (className === 'LatentConsistencyModelPipeline' && !mask) return 'LatentConsistencyModelImg2ImgPipeline';
  const parts = findPipeline(className)?.family.parts ?? [];
  const names = FROM_PICTURES.find(({ part }) => parts.includes(part));
  return mask ? names?.mask : names?.image;
}

/**
 * The pipeline over the same models that starts from a picture, or from a picture and a mask (diffusers:
 * AutoPipelineForImage2Image.from_pipe and AutoPipelineForInpainting.from_pipe). Dispose it too.
 */
export function pipelineForInputs(pipe: AnyPipeline, inputs: GivenInputs): AnyPipeline {
  const { family } = pipe.constructor as unknown as PipelineClass;
  const name = classForInputs(family.className, inputs);
  const found = name === undefined ? undefined : findPipeline(name);
  if (found) return (found as unknown as { from(pipe: AnyPipeline): AnyPipeline }).from(pipe);
  throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `${family.className} does not start from pictures`);
}
