import { invalidArgument } from '../errors.js';
import {
  bytesOf,
  countOf,
  type ImageInput,
  type LoadedImages,
  loadImages,
  sizeOf,
  toRgb,
} from '../images/input.js';
import { show } from '../messages.js';
import type { AutoencoderKL } from '../models/autoencoder-kl.js';
import type { CLIPVisionModelWithProjection } from '../models/image-encoder.js';
import type { UNetSpatioTemporalConditionModel } from '../models/unet-spatio-temporal.js';
import { checkNames } from '../names.js';
import { inSlices, mapParts } from '../slices.js';
import { FloatTensor, type Tensor } from '../tensor.js';
import { callable, checkSignal, checkTensor, flag, real, whole } from './checks.js';
import type { LoadOptions } from './components.js';
import { loadVideoComponents, type VideoComponents } from './components-video.js';
import { planRun, runLoop } from './denoise.js';
import { DiffusionPipeline } from './diffusion-pipeline.js';
import { requireMemory } from './memory.js';
import type { ModelIndex } from './model-index.js';
import { NoiseSource } from './noise.js';
import type { GenerateOptions } from './options.js';
import { toImages } from './pixels.js';
import { registerPipeline } from './registry.js';
import { type GenerateResult, resultOf } from './result.js';
import { seedsOf, tellSeeds, toSeed } from './seeds.js';
import { endFields, samplerFields, seedFields, settingsText } from './settings.js';
import { PhaseClock, runStats } from './stats.js';
import { conditionVideo, guidanceOfFrames } from './video-conditioning.js';
import { decodeFrames } from './video-frames.js';

/** Options of Stable Video Diffusion. Names are diffusers', in camelCase. */
export interface VideoOptions
  extends Pick<
    GenerateOptions,
    | 'steps'
    | 'numInferenceSteps'
    | 'seed'
    | 'cache'
    | 'scheduler'
    | 'sigmas'
    | 'output'
    | 'onStep'
    | 'latentsEvery'
    | 'signal'
  > {
  /** The picture that the video begins with. */
  image: ImageInput;
  /** Pixels, multiples of 8 that the U-Net can halve (64 in published models). Default 1024 x 576. */
  width?: number;
  height?: number;
  /** Frames of the video. Default: what the model was trained on, 14 or 25. */
  numFrames?: number;
  /** Guidance of the first frame, 1 by default, and of the last, 3; between them it grows evenly. */
  minGuidanceScale?: number;
  /** At 1 and below there is no guidance at all. */
  maxGuidanceScale?: number;
  /** Frames a second that the model is told of, 7 by default. */
  fps?: number;
  /** How much should move, 127 by default. */
  motionBucketId?: number;
  /** Noise that is added to the picture, 0.02 by default: with more of it the video follows the picture less. */
  noiseAugStrength?: number;
  /**
   * Frames that are decoded at once, all by default. Fewer take less memory, but only frames that are decoded together
   * see each other.
   */
  decodeChunkSize?: number;
  /** Noise of unit variance to start from, [1, frames, 4, h / 8, w / 8], instead of the seed's. */
  latents?: Tensor;
  /** Noise of unit variance that is added to the picture, [1, 3, height, width], instead of the seed's. */
  imageNoise?: Tensor;
  /**
   * diffusers before v0.28 gave temporal cross attention the contexts of both guidance halves in turn, by mistake;
   * true does so too. Default false.
   */
  interleaveContexts?: boolean;
}

const OPTIONS = [
  'image',
  'steps',
  'numInferenceSteps',
  'width',
  'height',
  'numFrames',
  'minGuidanceScale',
  'maxGuidanceScale',
  'fps',
  'motionBucketId',
  'noiseAugStrength',
  'decodeChunkSize',
  'seed',
  'latents',
  'imageNoise',
  'interleaveContexts',
  'cache',
  'scheduler',
  'sigmas',
  'output',
  'onStep',
  'latentsEvery',
  'signal',
];

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
    this.#resolve(options);
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
    const scales = guidanceOfFrames(options.minGuidanceScale, options.maxGuidanceScale, frames);
    const plan = planRun(
      this.schedulerFor(options),
      this.unet,
      { ...options, guidanceScale: scales, guidanceRescale: 0 },
      { guided },
      (note) => notes.push(note),
    );
    const latent = [frames, vae.latentChannels, height / vae.scale, width / vae.scale] as const;
    const chunk = options.decodeChunkSize;
    const need = await this.#memory(latent, guided, output === 'latent' ? 0 : chunk, signal);
    requireMemory(this.components, { ...need, pictures: pictureBytes(image, width, height) });

    const noise = new NoiseSource(seedsOf(options), 1);
    // diffusers' order: the picture's noise, the latents, then the sampler's.
    const imageShape = [1, 3, height, width];
    const imageNoise = options.imageNoise
      ? checkTensor('imageNoise', options.imageNoise, imageShape).data
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
      ? checkTensor('latents', options.latents, [1, ...latent]).data
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
        ...samplerFields(this.schedulerFor(options), { sigmas: options.sigmas }),
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
    return resultOf({
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

  #resolve(options: VideoOptions) {
    if (typeof options !== 'object' || options === null) {
      throw invalidArgument('options', 'must be an object, such as { image: "photo.png" }');
    }
    checkNames(options, OPTIONS);
    if (options.image === undefined || options.image === null) {
      throw invalidArgument('image', 'is missing: a video begins with a picture');
    }
    const { steps, numInferenceSteps, output = 'image' } = options;
    if (steps !== undefined && numInferenceSteps !== undefined && steps !== numInferenceSteps) {
      throw invalidArgument('numInferenceSteps', 'is another name of steps; they differ');
    }
    if (!['image', 'float32', 'latent'].includes(output)) {
      throw invalidArgument('output', `must be 'image', 'float32' or 'latent', got ${show(output)}`);
    }
    callable('onStep', options.onStep);
    checkSignal(options.signal);
    whole('latentsEvery', options.latentsEvery, 1, 1, 100_000);
    if (options.seed !== undefined) toSeed('seed', options.seed);
    const frames = whole('numFrames', options.numFrames, this.unet.numFrames, 1, 512);
    return {
      ...options,
      steps: whole('steps', steps ?? numInferenceSteps ?? options.sigmas?.length, 25, 1, 100_000),
      width: this.#pixels('width', options.width, 1024),
      height: this.#pixels('height', options.height, 576),
      frames,
      minGuidanceScale: real('minGuidanceScale', options.minGuidanceScale, 1, 0, 1000),
      maxGuidanceScale: real('maxGuidanceScale', options.maxGuidanceScale, 3, 0, 1000),
      fps: real('fps', options.fps, 7, 1, 1000),
      motionBucketId: real('motionBucketId', options.motionBucketId, 127, 0, 10_000),
      noiseAugStrength: real('noiseAugStrength', options.noiseAugStrength, 0.02, 0, 1000),
      decodeChunkSize: whole('decodeChunkSize', options.decodeChunkSize, frames, 1, 512),
      interleaveContexts: flag('interleaveContexts', options.interleaveContexts),
      output,
    };
  }

  #pixels(name: string, value: unknown, fallback: number): number {
    const number = whole(name, value, fallback, this.vae.scale, 16384);
    // Skips and what is upsampled have the same size only then.
    const multiple = this.vae.scale * 2 ** (this.unet.native.levels - 1);
    if (number % multiple === 0) return number;
    throw invalidArgument(name, `must be a multiple of ${multiple}, got ${number}`);
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
