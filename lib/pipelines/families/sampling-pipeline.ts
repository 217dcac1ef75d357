import type { Image } from '../../images/image.js';
import type { UnetConditions } from '../../native/types.js';
import { checkTensor, requireShapes } from '../../options/checks.js';
import type { Valid } from '../../options/valid.js';
import { inSlices, mapParts } from '../../slices.js';
import { countOf, FloatTensor, type Tensor } from '../../tensor.js';
import { DiffusionPipeline } from '../diffusion-pipeline.js';
import { NoiseSource } from '../inputs/noise.js';
import { seedsOf, tellSeeds } from '../inputs/seeds.js';
import type { PipelineParts } from '../loading/parts.js';
import { planRun, type RunPlan, runLoop } from '../loop/denoise.js';
import { requireMemory } from '../loop/memory.js';
import { toImages } from '../outputs/pixels.js';
import { type GenerateResult, type GenerateStats, runResult } from '../outputs/result.js';
import { endFields, samplerFields, seedFields, settingsText } from '../outputs/settings.js';
import { PhaseClock, runStats } from '../outputs/stats.js';
import type { SamplingOptions } from './sampling-options.js';

/** Options of a run that were checked. */
export interface SamplingRun {
  steps: number;
  /** Images. */
  batch: number;
  /** Classifier-free guidance; undefined: none. */
  guidanceScale?: number;
  output: 'image' | 'float32' | 'latent';
  /** Whether a call is full, by the rule that the original program has. */
  fullCalls: (timesteps: readonly number[]) => boolean[];
  /** What the U-Net is given besides the sample: [unconditional, conditional] with guidance. */
  conditions: UnetConditions;
  /** Fields of the settings that are written into images, for each image. */
  settings: (image: number) => Record<string, unknown>;
}

/** A pipeline that samples pictures of the model's own size from noise, without prompts. */
export abstract class SamplingPipeline<
  Options extends SamplingOptions,
  Parts extends PipelineParts,
> extends DiffusionPipeline<Options, Parts> {
  /** Checks the options. */
  protected abstract resolve(options: Options): SamplingRun;

  /** What was sampled -> pixels [n, 3, h, w] in [0, 1]. */
  protected abstract decode(sampled: Tensor, signal: AbortSignal | undefined): Promise<Tensor>;

  /** Image pixels of one that the U-Net works on, in each axis. */
  protected get pixelScale(): number {
    return 1;
  }

  /** Bytes that decoding allocates. */
  protected abstract decodeBytes(signal: AbortSignal | undefined): Promise<number>;

  override async warmup(options: Partial<Options> = {}): Promise<void> {
    const { numInferenceSteps: _, ...rest } = options;
    await this.generate({ ...rest, steps: 2, output: 'float32' } as unknown as Valid<Options> & {
      output: 'float32';
    });
  }

  protected override check(options: Options): void {
    const run = this.resolve(options);
    this.#plan(options, run);
    requireShapes(options, { latents: this.#shape(run) });
  }

  #shape({ batch }: SamplingRun): readonly [number, number, number, number] {
    const { sampleHeight, sampleWidth, native } = this.unet;
    return [batch, native.outChannels, sampleHeight, sampleWidth];
  }

  #plan(options: Options, run: SamplingRun, note: (message: string) => void = () => {}): RunPlan {
    const { cache, eta, schedulerOptions } = options;
    const { steps, guidanceScale = 1, fullCalls } = run;
    return planRun(
      this.schedulerFor(options),
      this.unet,
      {
        steps,
        ...(eta !== undefined && { eta }),
        ...(cache !== undefined && { cache }),
        ...(schedulerOptions && { schedulerOptions }),
        guidanceScale,
        guidanceRescale: 0,
        fullCalls,
      },
      { guided: run.guidanceScale !== undefined },
      note,
    );
  }

  /** The random numbers of a run. */
  protected noiseSource(seeds: readonly bigint[], batch: number): NoiseSource {
    return new NoiseSource(seeds, batch);
  }

  protected override async run(options: Options): Promise<GenerateResult> {
    const { signal } = options;
    const run = this.resolve(options);
    const { batch, output, guidanceScale } = run;
    const notes: string[] = [];
    const clock = new PhaseClock();
    const guided = guidanceScale !== undefined;
    const plan = this.#plan(options, run, (message) => notes.push(message));
    const halves = guided ? 2 : 1;
    const { sampleHeight: height, sampleWidth: width } = this.unet;
    const shape = this.#shape(run);
    requireMemory(this.components, {
      unet: await this.unet.runBytes({ batch: halves * batch }, { signal }),
      vae: output === 'latent' ? 0 : await this.decodeBytes(signal),
    });
    const noise = this.noiseSource(seedsOf(options), batch);
    const each = countOf(shape.slice(1));
    const start = options.latents
      ? (await checkTensor('latents', options.latents, shape, signal)).data
      : await noise.draw(each, signal);
    const scaled = mapParts(start, (value) => value * plan.compiled.initNoiseSigma);
    const latents = await inSlices(scaled, signal);
    const draws = noise.following(plan.compiled.noiseUsed);
    signal?.throwIfAborted();
    clock.lap('prepare');

    const loop = await runLoop(
      this.unet,
      {
        batch,
        halves,
        height,
        width,
        table: plan.table,
        latents,
        ...(draws && { noise: draws }),
        ...run.conditions,
      },
      plan,
      options,
    );
    clock.lap('denoise');

    const sampled = { data: loop.latents, shape };
    const { data, shape: made } = output === 'latent' ? sampled : await this.decode(sampled, signal);
    const result = new FloatTensor(data, made);
    const settings = this.#settings(options, run, noise.seeds);
    const images = output === 'image' ? await this.#images(result, settings, signal) : [];
    clock.lap('decode');
    return runResult({
      images,
      ...(output !== 'image' && { tensor: result }),
      settings,
      seeds: tellSeeds(noise.seeds),
      stats: runStats(clock, plan.full, loop.rowMilliseconds, this.#memory()),
      notes,
    });
  }

  #settings(options: Options, run: SamplingRun, seeds: readonly bigint[]): string[] {
    const [width, height] = [this.unet.sampleWidth, this.unet.sampleHeight].map(
      (size) => size * this.pixelScale,
    );
    const sampler = samplerFields(this.schedulerFor(options), options);
    return Array.from({ length: run.batch }, (_, image) =>
      settingsText({
        fields: {
          Steps: run.steps,
          ...sampler,
          ...run.settings(image),
          ...seedFields(seeds, run.batch, image),
          Size: `${width}x${height}`,
          Latents: options.latents && 'given',
          ...endFields(this.components, options.cache),
        },
      }),
    );
  }

  async #images(pixels: Tensor, settings: readonly string[], signal?: AbortSignal): Promise<Image[]> {
    const images = await toImages(pixels, signal);
    for (const [i, image] of images.entries()) {
      image.metadata = { parameters: settings[i] as string };
    }
    return images;
  }

  #memory(): GenerateStats['memory'] {
    const { weights, arena, buffers } = this.unet.memory();
    const decoder = this.decoderMemory();
    return { weights: weights + decoder.weights, arenas: arena + decoder.peakArena, buffers };
  }

  /** Bytes held for decoding. */
  protected decoderMemory(): { weights: number; peakArena: number } {
    return { weights: 0, peakArena: 0 };
  }
}
