import { invalidArgument } from '../../errors.js';
import {
  bytesOf,
  countOf,
  type ImageInput,
  type LoadedImages,
  loadImages,
  sizeOf,
  toRgb,
} from '../../images/input.js';
import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import type { CLIPVisionModelWithProjection } from '../../models/image-encoder.js';
import type { UNetSpatioTemporalConditionModel } from '../../models/unet-spatio-temporal.js';
import { checkOptions } from '../../options/check.js';
import { checkTensor, requireShapes } from '../../options/checks.js';
import type { OptionsOf } from '../../options/spec/index.js';
import { inSlices, mapParts } from '../../slices.js';
import { FloatTensor, type Tensor } from '../../tensor.js';
import { conditionVideo, guidanceOfFrames } from '../conditioning/video-conditioning.js';
import { DiffusionPipeline } from '../diffusion-pipeline.js';
import { NoiseSource } from '../inputs/noise.js';
import { seedsOf, tellSeeds } from '../inputs/seeds.js';
import type { ModelIndex } from '../loading/model-index.js';
import type { LoadOptions } from '../loading/parts.js';
import { registerPipeline } from '../loading/registry.js';
import { loadVideoComponents, type VideoComponents } from '../loading/video-parts.js';
import { planRun, type RunPlan, runLoop } from '../loop/denoise.js';
import { requireMemory } from '../loop/memory.js';
import { decodeFrames } from '../outputs/decode.js';
import { toImages } from '../outputs/pixels.js';
import { type GenerateResult, runResult } from '../outputs/result.js';
import { endFields, samplerFields, seedFields, settingsText } from '../outputs/settings.js';
import { PhaseClock, runStats } from '../outputs/stats.js';

/** Options of Stable Video Diffusion. Names are diffusers', in camelCase. */
export interface VideoOptions extends OptionsOf<'svd'> {
  image: ImageInput;
}

/** The same with defaults. */
type ResolvedVideoOptions = VideoOptions &
  Required<
    Pick<
      VideoOptions,
      | 'steps'
      | 'width'
      | 'height'
      | 'minGuidanceScale'
      | 'maxGuidanceScale'
      | 'fps'
      | 'motionBucketId'
      | 'noiseAugStrength'
      | 'decodeChunkSize'
      | 'interleaveContexts'
      | 'output'
    >
  > & { frames: number };

/**
 * Image to video with Stable Video Diffusion. The result's images are the frames; its tensor holds [frames, ...].
 */
export class StableVideoDiffusionPipeline extends DiffusionPipeline<VideoOptions, VideoComponents> {
  static override readonly className: string = 'StableVideoDiffusionPipeline';
  static override readonly parts: readonly string[] = ['unet', 'vae', 'imageEncoder'];

  /** @internal */
  static load(index: ModelIndex, options: LoadOptions): Promise<VideoComponents> {
    return loadVideoComponents(index, options);
  }

  override get unet(): UNetSpatioTemporalConditionModel {
    return this.components.unet;
  }

  get vae(): AutoencoderKL {
    return this.components.vae;
  }

  get imageEncoder(): CLIPVisionModelWithProjection {
    return this.components.imageEncoder;
  }

  override async warmup(options: Partial<VideoOptions> = {}): Promise<void> {
    const { numInferenceSteps: _, ...rest } = options;
    const gray = { data: new Uint8Array(3), width: 1, height: 1, channels: 3 as const };
    await this.generate({ image: gray, ...rest, steps: 2, output: 'float32' });
  }

  protected override check(options: VideoOptions): void {
    this.#plan(this.#resolve(options));
  }

  protected override async run(given: VideoOptions): Promise<GenerateResult> {
    const options = this.#resolve(given);
    const { width, height, frames, signal, output } = options;
    const image = await loadImages('image', given.image, 3, signal);
    if (countOf(image) !== 1) {
      throw invalidArgument('image', 'must be one picture');
    }
    const notes: string[] = [];
    const clock = new PhaseClock();
    const { vae, imageEncoder } = this.components;
    const guided = options.maxGuidanceScale > 1;
    const plan = this.#plan(options, (message) => notes.push(message));
    const latent = [frames, vae.latentChannels, height / vae.scale, width / vae.scale] as const;
    const chunk = options.decodeChunkSize;
    const need = await this.#memory(latent, guided, output === 'latent' ? 0 : chunk, signal);
    requireMemory(this.components, { ...need, pictures: pictureBytes(image, width, height) });

    const noise = new NoiseSource(seedsOf(options), 1);
    // diffusers' order: the picture's noise, the latents, then the sampler's.
    const imageShape = [1, 3, height, width];
    const imageNoise = options.imageNoise
      ? (await checkTensor('imageNoise', options.imageNoise, imageShape, signal)).data
      : await noise.draw(3 * height * width, signal);
    const conditions = await conditionVideo(
      { vae, imageEncoder },
      {
        ...options,
        image: await toRgb('image', image, width, height, signal),
        original: await originalOf(image, signal),
        imageNoise,
        guided,
      },
    );
    clock.lap('encode');
    const count = frames * latent[1] * latent[2] * latent[3];
    const unit = options.latents
      ? (await checkTensor('latents', options.latents, [1, ...latent], signal)).data
      : await noise.draw(count, signal);
    const scaled = mapParts(unit, (value) => value * plan.compiled.initNoiseSigma);
    const latents = await inSlices(scaled, signal);
    const draws = noise.following(plan.compiled.noiseUsed);
    signal?.throwIfAborted();
    clock.lap('prepare');

    const loop = await runLoop(
      this.unet,
      {
        batch: frames,
        frames,
        halves: guided ? 2 : 1,
        height: latent[2],
        width: latent[3],
        table: plan.table,
        latents,
        ...(draws && { noise: draws }),
        ...conditions,
        oldContexts: options.interleaveContexts,
      },
      plan,
      options,
    );
    clock.lap('denoise');

    const result = new FloatTensor(loop.latents, latent);
    const tensor = output === 'latent' ? result : await decodeFrames(vae, result, chunk, signal);
    const settings = settingsText({
      fields: {
        Steps: options.steps,
        ...samplerFields(this.schedulerFor(options), options),
        'Min CFG scale': options.minGuidanceScale,
        'Max CFG scale': options.maxGuidanceScale,
        ...seedFields(noise.seeds, 1, 0),
        Size: `${width}x${height}`,
        Frames: frames,
        FPS: options.fps,
        'Motion bucket': options.motionBucketId,
        'Noise augmentation': options.noiseAugStrength,
        'Decode chunk': chunk,
        'Interleaved contexts': options.interleaveContexts,
        Latents: options.latents && 'given',
        'Image noise': options.imageNoise && 'given',
        ...endFields(this.components, options.cache),
      },
    });
    const images = output === 'image' ? await toImages(tensor, signal) : [];
    for (const image of images) image.metadata = { parameters: settings };
    clock.lap('decode');
    const unet = this.unet.memory();
    const decoder = vae.memory();
    return runResult({
      images,
      ...(output !== 'image' && { tensor }),
      settings: [settings],
      seeds: tellSeeds(noise.seeds),
      stats: runStats(clock, plan.full, loop.rowMilliseconds, {
        weights: unet.weights + decoder.weights + imageEncoder.weightBytes,
        arenas: unet.arena + decoder.peakArena,
        buffers: unet.buffers,
      }),
      notes,
    });
  }

  #plan(options: ResolvedVideoOptions, note: (message: string) => void = () => {}): RunPlan {
    const { minGuidanceScale, maxGuidanceScale, frames } = options;
    const guidanceScale = guidanceOfFrames(minGuidanceScale, maxGuidanceScale, frames);
    const guided = maxGuidanceScale > 1;
    const plan = { ...options, guidanceScale, guidanceRescale: 0 };
    return planRun(this.schedulerFor(options), this.unet, plan, { guided }, note);
  }

  /** Bytes of a run: activations of the U-Net and of the autoencoder. */
  async #memory(
    latent: readonly [number, number, number, number],
    guided: boolean,
    chunk: number,
    signal: AbortSignal | undefined,
  ) {
    const [frames, , height, width] = latent;
    const { unet, vae } = this.components;
    const batch = Math.min(chunk, frames);
    const decoded = chunk > 0 ? await vae.decodeBytes({ height, width, batch }, { signal }) : 0;
    return {
      unet: await unet.runBytes({ batch: (guided ? 2 : 1) * frames, frames, height, width }, { signal }),
      vae: Math.max(await vae.encodeBytes({ height, width }, { signal }), decoded),
    };
  }

  #resolve(given: VideoOptions): ResolvedVideoOptions {
    const { scale } = this.vae;
    const options = checkOptions('svd', given, {
      scale,
      // Skips and what is upsampled have the same size only then.
      multiple: scale * 2 ** (this.unet.native.levels - 1),
      imageChannels: [3],
      latentAxes: ['1', 'frames', 'channels', 'height', 'width'],
    });
    const frames = options.numFrames ?? this.unet.numFrames;
    const { width = 1024, height = 576 } = options;
    requireShapes(options, {
      imageNoise: [1, 3, height, width],
      latents: [1, frames, this.vae.latentChannels, height / scale, width / scale],
    });
    return {
      ...options,
      frames,
      steps: options.steps ?? options.sigmas?.length ?? 25,
      width,
      height,
      minGuidanceScale: options.minGuidanceScale ?? 1,
      maxGuidanceScale: options.maxGuidanceScale ?? 3,
      fps: options.fps ?? 7,
      motionBucketId: options.motionBucketId ?? 127,
      noiseAugStrength: options.noiseAugStrength ?? 0.02,
      decodeChunkSize: options.decodeChunkSize ?? frames,
      interleaveContexts: options.interleaveContexts ?? false,
      output: options.output ?? 'image',
    };
  }
}

registerPipeline(StableVideoDiffusionPipeline);

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
