import { invalidArgument } from '../errors.js';
import type { DiffusionPipeline, GenerateOptions, TextToVideoZeroOptions, VideoOptions } from '../index.js';
import { TextToVideoZeroPipeline } from '../index.js';
import { findPipeline } from '../pipelines/registry.js';
import { type GenerateFlags, toGenerateOptions } from './generate-options.js';

const SVD = 'StableVideoDiffusionPipeline';

/** Whether a model, or a model asked for several frames, makes a video. */
export function makesVideo(className: string | undefined, { frames }: GenerateFlags): boolean {
  return className === SVD || frames !== undefined;
}

/** Options of the video pipeline, and an error for flags that it does not have. */
export function toVideoOptions(className: string | undefined, flags: GenerateFlags): GenerateOptions {
  const { frames, fps } = flags;
  for (const name of ['previewEvery', 'preview', 'refiner'] as const) {
    if (flags[name] !== undefined) throw invalidArgument(name, 'is not there for videos');
  }
  if (flags.mask !== undefined) throw invalidArgument('mask', 'is nothing that videos are made from');
  if (flags.class !== undefined) throw invalidArgument('class', 'is for class-conditional models only');
  if (className !== SVD) {
    const model = className === undefined ? undefined : findPipeline(className);
    if (model && !TextToVideoZeroPipeline.parts.every((part) => model.parts.includes(part)))
      throw invalidArgument(
        'frames',
        `makes videos with models of Stable Diffusion 1 and 2; this is a ${className}`,
      );
    if (flags.image !== undefined)
      throw invalidArgument('image', 'and frames exclude each other for this model');
    const options: TextToVideoZeroOptions = {
      ...toGenerateOptions(flags),
      ...(frames !== undefined && { videoLength: frames }),
    };
    return options;
  }
  for (const name of ['prompt', 'negativePrompt', 'strength'] as const) {
    if (flags[name] !== undefined) throw invalidArgument(name, `is nothing that a ${SVD} reads`);
  }
  if (flags.image === undefined) throw invalidArgument('image', 'is missing: a video begins with a picture');
  // The check for a prompt apart, the flags mean the same.
  const { prompt: _, ...rest } = toGenerateOptions({ ...flags, prompt: [''] });
  const options: VideoOptions = {
    ...rest,
    image: flags.image,
    ...(frames !== undefined && { numFrames: frames }),
    ...(fps !== undefined && { fps }),
  };
  return options;
}

/** The pipeline that makes videos with a loaded model. */
// biome-ignore lint/suspicious/noExplicitAny: pipelines differ in their options and parts
export function videoPipeline(className: string | undefined, base: DiffusionPipeline<any, any>) {
  return className === SVD ? base : TextToVideoZeroPipeline.from(base);
}
