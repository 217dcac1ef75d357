import { invalidArgument } from '../../errors.js';
import {
  bytesOf,
  type ImageInput,
  type LoadedImages,
  loadImages,
  countOf as picturesOf,
  sizeOf,
  toRgb,
} from '../../images/input.js';
import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import type { CLIPVisionModelWithProjection } from '../../models/image-encoder.js';
import type { UNetSpatioTemporalConditionModel } from '../../models/unet-spatio-temporal.js';
import { checkOptions } from '../../options/check.js';
import { requireShapes } from '../../options/checks.js';
import type { OptionsOf } from '../../options/spec/index.js';
import { UsedPictures } from '../../settings/pictures.js';
import { countOf, type Tensor } from '../../tensor.js';
import { conditionVideo, guidanceOfFrames } from '../conditioning/video-conditioning.js';
import { DiffusionPipeline } from '../diffusion-pipeline.js';
import type { Family, Run } from '../family.js';
import type { RunOptions } from '../inputs/options.js';
import { ownSteps } from '../inputs/own-steps.js';
import { startNoise } from '../inputs/text-to-image.js';
import { factsOf, type ModelFacts } from '../loading/facts.js';
import { readFolderFacts } from '../loading/folder-facts.js';
import type { VideoParts } from '../loading/parts.js';
import { registerPipeline } from '../loading/registry.js';
import { loadVideoParts } from '../loading/video-parts.js';
import { planRun } from '../loop/denoise.js';
import type { MemoryEstimate } from '../loop/plan.js';
import { decodeLatents } from '../outputs/decode.js';
import { endFields, samplerFields, seedFields, settingsText } from '../outputs/settings.js';

/** Options of Stable Video Diffusion. Names are diffusers', in camelCase. */
export interface VideoOptions extends OptionsOf<'svd'> {
  image: ImageInput;
}

/** The same, checked and with defaults. */
interface VideoRunOptions extends RunOptions {
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly minGuidanceScale: number;
  readonly maxGuidanceScale: number;
  readonly fps: number;
  readonly motionBucketId: number;
  readonly noiseAugStrength: number;
  readonly decodeChunkSize: number;
  readonly interleaveContexts: boolean;
  readonly imageNoise?: Tensor;
}

const family: Family<VideoOptions, VideoRunOptions, VideoParts, LoadedImages> = {
  className: 'StableVideoDiffusionPipeline',
  parts: ['unet', 'vae', 'imageEncoder'],
  loadParts: loadVideoParts,
  readFacts: readFolderFacts,
  shortest: { image: { data: new Uint8Array(3), width: 1, height: 1, channels: 3 }, steps: 2 },
  facts: (parts) => factsOf({ ...parts, frames: parts.unet.numFrames }),
  encoders: ({ imageEncoder }) => [imageEncoder],
  async load({ image, signal }) {
    const loaded = await loadImages('image', image, 3, signal);
    if (picturesOf(loaded) !== 1) throw invalidArgument('image', 'must be one picture');
    return loaded;
  },
  size: () => undefined,
  resolve: resolveVideo,
  plan: planRun,
  async prepare(run) {
    const { parts, options, inputs, plan } = run;
    const { vae, imageEncoder } = parts;
    const { width, height, latent, decodeChunkSize: chunk, signal } = options;
    const pictures = pictureBytes(inputs, width, height);
    let used: UsedPictures;
    return {
      memory: { ...(await needOf(run)), pictures },
      // diffusers' order: the picture's noise, the latents, then the sampler's.
      async condition(noise) {
        used = await UsedPictures.of(options as Pick<OptionsOf<'svd'>, 'image'>, signal);
        const conditions = await conditionVideo(
          { vae, imageEncoder },
          {
            ...options,
            imageNoise: options.imageNoise?.data ?? (await noise.draw(3 * height * width, signal)),
            image: await toRgb('image', inputs, width, height, signal),
            original: await originalOf(inputs, signal),
          },
        );
        return { ...conditions, oldContexts: options.interleaveContexts };
      },
      async start(noise) {
        // One generator draws for all frames at once.
        const draw = () => noise.draw(countOf(latent), signal);
        return { latents: await startNoise(options, plan.compiled.initNoiseSigma, draw) };
      },
      decode: (sampled) => decodeLatents(vae, sampled, { chunk, signal }),
      settings: (image) => used.fields(image, 1),
    };
  },
  settings({ parts, scheduler, options }, seeds, calls, stages) {
    return [
      settingsText({
        fields: {
          Steps: options.steps,
          ...samplerFields(scheduler, options),
          'Min CFG scale': options.minGuidanceScale,
          'Max CFG scale': options.maxGuidanceScale,
          ...seedFields(seeds, 1, 0),
          Size: `${options.width}x${options.height}`,
          Frames: options.frames,
          FPS: options.fps,
          'Motion bucket': options.motionBucketId,
          'Noise augmentation': options.noiseAugStrength,
          'Decode chunk': options.decodeChunkSize,
          'Interleaved contexts': options.interleaveContexts,
          ...stages.settings?.(0),
          Latents: options.latents && 'given',
          'Image noise': options.imageNoise && 'given',
          ...endFields(parts, options.cache, calls),
        },
      }),
    ];
  },
};

/** Image to video with Stable Video Diffusion. The result's images are the frames; its tensor holds [frames, ...]. */
export class StableVideoDiffusionPipeline extends DiffusionPipeline<VideoOptions, VideoParts> {
  static override readonly family = family;

  override get unet(): UNetSpatioTemporalConditionModel {
    return this.components.unet;
  }

  /** The autoencoder. */
  get vae(): AutoencoderKL {
    return this.components.vae;
  }

  /** The encoder of the picture. */
  get imageEncoder(): CLIPVisionModelWithProjection {
    return this.components.imageEncoder;
  }
}

registerPipeline(StableVideoDiffusionPipeline);

function resolveVideo(
  given: VideoOptions,
  { scale, levels, channels, frames: ownFrames }: ModelFacts,
): VideoRunOptions {
  const options = checkOptions('svd', given, {
    scale,
    // Skips and what is upsampled have the same size only then.
    multiple: scale * 2 ** (levels - 1),
    imageChannels: [3],
    latentAxes: ['1', 'frames', 'channels', 'height', 'width'],
  });
  const { numFrames: frames = ownFrames, width = 1024, height = 576 } = options;
  const { minGuidanceScale = 1, maxGuidanceScale = 3 } = options;
  const latent = [frames, channels, height / scale, width / scale] as const;
  requireShapes(options, { imageNoise: [1, 3, height, width], latents: [1, ...latent] });
  const own = ownSteps('svd', options);
  return {
    ...options,
    ...own,
    frames,
    latent,
    images: 1,
    steps: options.steps ?? own.sigmas?.length ?? 25,
    width,
    height,
    minGuidanceScale,
    maxGuidanceScale,
    guided: maxGuidanceScale > 1,
    guidance: guidanceOfFrames(minGuidanceScale, maxGuidanceScale, frames),
    guidanceRescale: 0,
    span: {},
    fps: options.fps ?? 7,
    motionBucketId: options.motionBucketId ?? 127,
    noiseAugStrength: options.noiseAugStrength ?? 0.02,
    decodeChunkSize: options.decodeChunkSize ?? frames,
    interleaveContexts: options.interleaveContexts ?? false,
    output: options.output ?? 'image',
  };
}

/** Bytes of a run: activations of the U-Net and of the autoencoder. */
async function needOf({
  parts: { unet, vae },
  options,
}: Run<VideoRunOptions, VideoParts, LoadedImages>): Promise<MemoryEstimate> {
  const { latent, guided, output, decodeChunkSize, signal } = options;
  const [frames, , height, width] = latent;
  const batch = Math.min(decodeChunkSize, frames);
  const decoded = output === 'latent' ? 0 : await vae.decodeBytes({ height, width, batch }, { signal });
  return {
    unet: await unet.runBytes({ batch: (guided ? 2 : 1) * frames, frames, height, width }, { signal }),
    vae: Math.max(await vae.encodeBytes({ height, width }, { signal }), decoded),
  };
}

/** Bytes of the picture at both sizes, and of the way to what CLIP sees. */
function pictureBytes(image: LoadedImages, width: number, height: number): number {
  const own = sizeOf(image);
  const floats = 4 * 3 * own.width * own.height;
  return bytesOf(image, width, height, 3) + 3 * floats;
}

/** The picture at its own size. */
async function originalOf(image: LoadedImages, signal?: AbortSignal): Promise<Tensor> {
  const { width, height } = sizeOf(image);
  return toRgb('image', image, width, height, signal);
}
