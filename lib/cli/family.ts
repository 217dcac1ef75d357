import { invalidArgument } from '../errors.js';
import { type DiffusionPipeline, type StableDiffusionPipeline, TextToVideoZeroPipeline } from '../index.js';
import type { Family } from '../options/families.js';
import { classForInputs } from '../pipelines/families/auto.js';
import { findPipeline } from '../pipelines/loading/registry.js';
import type { GenerateFlags } from './generate-options.js';

const SVD = 'StableVideoDiffusionPipeline';
const ANIMATEDIFF = 'AnimateDiffPipeline';

/** What models of a class make without a picture or a number of frames. */
const OF_CLASS: Readonly<Record<string, Family>> = {
  StableDiffusionImg2ImgPipeline: 'img2img',
  LatentConsistencyModelImg2ImgPipeline: 'img2img',
  StableDiffusionInpaintPipeline: 'inpaint',
  StableDiffusionInstructPix2PixPipeline: 'pix2pix',
  StableDiffusionDepth2ImgPipeline: 'depth2img',
  StableDiffusionUpscalePipeline: 'x4',
  StableDiffusionXLPipeline: 'xl',
  StableDiffusionXLImg2ImgPipeline: 'xl-img2img',
  StableDiffusionXLInpaintPipeline: 'xl-inpaint',
  [ANIMATEDIFF]: 'animatediff',
  [SVD]: 'svd',
  DDPMPipeline: 'ddpm',
  ClassConditionalLDMPipeline: 'ldm',
  StableDiffusionControlNetImg2ImgPipeline: 'img2img',
  StableDiffusionControlNetInpaintPipeline: 'inpaint',
  StableDiffusionXLControlNetPipeline: 'xl',
  StableDiffusionXLControlNetImg2ImgPipeline: 'xl-img2img',
  StableDiffusionXLControlNetInpaintPipeline: 'xl-inpaint',
  StableDiffusionXLAdapterPipeline: 'xl',
};

/**
 * The pipeline whose options a family's are.
 *
 * @param model the pipeline that a model names.
 */
export function classOf(family: Family, model?: string): string {
  if (model !== undefined && OF_CLASS[model] !== family && /img2img$|inpaint$/.test(family)) {
    const own = classForInputs(model, { image: true, mask: family.endsWith('inpaint') });
    if (own !== undefined) return own;
  }
  if (model !== undefined && familyOf(model, {}) === family && findPipeline(model)) return model;
  if (family === 'zero') return 'TextToVideoZeroPipeline';
  return Object.keys(OF_CLASS).find((name) => OF_CLASS[name] === family) ?? 'StableDiffusionPipeline';
}

/** The pipeline that makes a family's runs, over the models of a loaded one where that makes others. */
// biome-ignore lint/suspicious/noExplicitAny: pipelines differ in their options and parts
export function pipelineOf(family: Family, loaded: DiffusionPipeline<any, any>): DiffusionPipeline<any, any> {
  const { className } = loaded.constructor as typeof DiffusionPipeline;
  if (familyOf(className, {}) === family) return loaded;
  const wanted = findPipeline(classOf(family, className)) as unknown as typeof StableDiffusionPipeline;
  return wanted.from(loaded);
}

/** Whether a model, or a model asked for several frames, makes a video. */
export function makesVideo(className: string | undefined, { frames }: GenerateFlags): boolean {
  return className === SVD || className === ANIMATEDIFF || frames !== undefined;
}

/**
 * Whose options a run of a model takes.
 *
 * @param className of the model's folder; undefined: one that is not known yet.
 */
export function familyOf(className: string | undefined, flags: GenerateFlags): Family {
  const own = (className === undefined ? undefined : OF_CLASS[className]) ?? 'text2img';
  if (['animatediff', 'svd', 'ddpm', 'ldm', 'pix2pix', 'depth2img', 'x4'].includes(own)) return own;
  const { frames, image, mask } = flags;
  if (frames !== undefined) {
    requireFrames(className, flags);
    return 'zero';
  }
  if (image === undefined && mask === undefined) return own;
  const kind = mask === undefined ? 'img2img' : 'inpaint';
  return own.startsWith('xl') ? `xl-${kind}` : kind;
}

/** Throws unless an image model makes videos. */
function requireFrames(className: string | undefined, { image, refiner, previewVae }: GenerateFlags): void {
  const model = className === undefined ? undefined : findPipeline(className);
  if (model && !TextToVideoZeroPipeline.family.parts.every((part) => model.family.parts.includes(part))) {
    throw invalidArgument(
      'frames',
      `makes videos with models of Stable Diffusion 1 and 2; this is a ${className}`,
    );
  }
  if (image !== undefined) throw invalidArgument('image', 'and frames exclude each other for this model');
  if (refiner !== undefined) throw invalidArgument('refiner', 'is not available for videos');
  if (previewVae !== undefined) {
    throw invalidArgument('previewVae', 'decodes previews, which there are none of for videos of this model');
  }
}
