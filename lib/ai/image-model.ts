import { invalidArgument } from '../errors.js';
import { maskOfAlpha } from '../images/alpha-mask.js';
import { pictureInText } from '../images/source.js';
import { checkNames } from '../names.js';
import { type AnyPipeline, DiffusionPipeline } from '../pipelines/diffusion-pipeline.js';
import { pipelineForInputs } from '../pipelines/families/auto.js';
import { jsonSeeds } from '../pipelines/inputs/seeds.js';
import type { ImageResult } from '../pipelines/outputs/result.js';
import type { AiImageModel, ImageAnswer, ImageCall, ImageFile, ImageWarning } from './types.js';

/** How a pipeline becomes a model of the AI SDK. */
export interface AiModelOptions {
  /** What the SDK's logs call it. Default: the name of the pipeline's model. */
  modelId?: string;
  /** Pictures of one run. Default 4. */
  maxImagesPerCall?: number;
  /** Options of all runs, such as `{ steps: 25, cache: 'balanced' }`; those of a call come first. */
  defaults?: Readonly<Record<string, unknown>>;
}

/** Pixels of a mask: as many as pictures may have. */
const MOST_PIXELS = 2 ** 26;

/**
 * A pipeline as an image model of the Vercel AI SDK: `generateImage({ model: aiImageModel(pipe), prompt })`. Options of
 * `generate` that the SDK does not know are given in `providerOptions: { deepcache: { … } }`. With a picture, in `prompt.images`,
 * it is image to image, with a mask inpainting.
 *
 * @param pipe is used, and not disposed.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for what is no pipeline.
 */
export function aiImageModel(pipe: AnyPipeline, options: AiModelOptions = {}): AiImageModel {
  if (!(pipe instanceof DiffusionPipeline)) throw invalidArgument('pipe', 'must be a pipeline');
  checkNames(options, ['modelId', 'maxImagesPerCall', 'defaults']);
  const { modelId = pipe.model?.name ?? 'deepcache', maxImagesPerCall = 4, defaults = {} } = options;
  return {
    specificationVersion: 'v3',
    provider: 'deepcache',
    modelId,
    maxImagesPerCall,
    doGenerate: (call) => generate(pipe, modelId, defaults, call),
  };
}

async function generate(
  pipe: AnyPipeline,
  modelId: string,
  defaults: Readonly<Record<string, unknown>>,
  call: ImageCall,
): Promise<ImageAnswer> {
  const { prompt = '', n, size, seed, files = [], mask, aspectRatio, providerOptions, abortSignal } = call;
  const warnings: ImageWarning[] = [];
  if (aspectRatio !== undefined)
    warnings.push({ type: 'unsupported', feature: 'aspectRatio', details: 'give a size instead' });
  const [file, ...others] = files;
  if (others.length > 0) throw invalidArgument('files', `must be one picture, got ${files.length}`);
  const [width, height] = size?.split('x').map(Number) ?? [];
  const image = file && (await bytesOf('files[0]', file));
  const maskImage = mask && (await maskOf(await bytesOf('mask', mask)));
  if (maskImage && !image) throw invalidArgument('mask', 'needs a picture to paint in');
  const run = {
    ...defaults,
    ...{ prompt, numImages: n },
    ...(width !== undefined && { width, height }),
    ...(seed !== undefined && { seed }),
    ...(image && { image }),
    ...(maskImage && { maskImage }),
    ...providerOptions?.deepcache,
    ...(abortSignal && { signal: abortSignal }),
  };
  const own = image ? pipelineForInputs(pipe, { image: true, mask: maskImage !== undefined }) : pipe;
  try {
    const { images, seeds, stats, notes } = (await own.generate(run as never)) as ImageResult;
    const texts = jsonSeeds(seeds);
    return {
      images: await Promise.all(images.map((picture) => picture.toBuffer('png'))),
      warnings,
      providerMetadata: {
        deepcache: {
          images: images.map((_, i) => ({
            ...{ seed: texts[i] ?? (texts[0] as number | string) },
            ...{ speedup: stats.speedup, notes },
          })),
        },
      },
      response: { timestamp: new Date(), modelId, headers: undefined },
    };
  } finally {
    // It shares its models with the pipeline, which keeps them.
    if (own !== pipe) await own.dispose();
  }
}

/** The bytes of a picture; addresses are not fetched, and no text is taken for a path. */
async function bytesOf(name: string, file: ImageFile): Promise<Uint8Array> {
  const data = file.type === 'url' ? file.url : file.data;
  if (typeof data !== 'string') return data;
  const found = await pictureInText(data);
  if (!found)
    throw invalidArgument(name, 'must be a file, base64 or a data: URL; fetch other addresses yourself');
  return found.bytes;
}

/** Transparent parts are painted anew, or in a mask without any the white ones. */
async function maskOf(bytes: Uint8Array) {
  return (await maskOfAlpha(bytes, MOST_PIXELS)) ?? bytes;
}
