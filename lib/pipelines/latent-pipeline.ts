import { randomInt } from 'node:crypto';
import { Image } from '../images/image.js';
import type { AutoencoderKL } from '../models/autoencoder-kl.js';
import type { CLIPTextModel } from '../models/text-encoder.js';
import { fitProjection } from '../previews/fit.js';
import type { CompiledSchedule } from '../schedulers/index.js';
import { concat, type Tensor } from '../tensor.js';
import type { CLIPTokenizer } from '../tokenizers/clip-tokenizer.js';
import { type Components, type LoadOptions, loadComponents, type ModelIndex } from './components.js';
import { type PreviewSettings, planRun, type RunPlan, runLoop } from './denoise.js';
import { DiffusionPipeline } from './diffusion-pipeline.js';
import { estimateMemory, requireMemory } from './memory.js';
import { NoiseSource } from './noise.js';
import { type GenerateOptions, type ResolvedOptions, resolveOptions, toSeed } from './options.js';
import { contextOf, encodePrompts, readPrompts } from './prompt.js';
import type { GenerateResult, GenerateStats } from './result.js';
import { settingsOf } from './settings.js';
import { PhaseClock } from './stats.js';

/** What the start of a run is made from. */
export interface RunContext {
  options: ResolvedOptions;
  compiled: CompiledSchedule;
  noise: NoiseSource;
  /** [images, channels, h, w] */
  latent: readonly [number, number, number, number];
  guided: boolean;
}

/** The latents that a run starts from, and what else accompanies its loop. NCHW. */
export interface RunStart {
  latents: Float32Array;
  /** U-Net input channels that stay the same, [halves * images, in - channels, h, w]. */
  constant?: Float32Array;
  /** Kept parts of the picture: x = mask * x + (1 - mask) * (init, noised with initNoise) after every step. */
  blend?: { mask: Float32Array; init: Float32Array; initNoise: Float32Array };
}

/**
 * A pipeline that denoises latents from text. Its subclasses differ in what a run starts from.
 *
 * @typeParam Inputs what a subclass loads before a run, such as images.
 */
export abstract class LatentPipeline<
  Options extends GenerateOptions = GenerateOptions,
  Inputs = unknown,
> extends DiffusionPipeline<Options, Components> {
  static override readonly parts: readonly string[] = ['unet', 'vae', 'textEncoder', 'tokenizer'];

  /** @internal */
  static load(index: ModelIndex, options: LoadOptions): Promise<Components> {
    return loadComponents(index, options);
  }

  get vae(): AutoencoderKL {
    return this.components.vae;
  }

  get textEncoder(): CLIPTextModel {
    return this.components.textEncoder;
  }

  get tokenizer(): CLIPTokenizer {
    return this.components.tokenizer;
  }

  /** Options of the subclass besides GenerateOptions. */
  protected readonly extraOptions: readonly string[] = [];

  /** Whether `start` uses the autoencoder's encoder. */
  protected readonly encodesImages: boolean = false;

  /** Loads what options point to. */
  protected abstract loadInputs(options: Options): Promise<Inputs>;

  /** Pixels of the result when options name none. */
  protected abstract defaultSize(inputs: Inputs): { width: number; height: number };

  /** Where in the schedule a run starts: undefined, or the number of steps to run. */
  protected abstract stepsToRun(options: Options, steps: number): number | undefined;

  /** The state before the first U-Net call. Draws from the generators in diffusers' order. */
  protected abstract start(context: RunContext, options: Options, inputs: Inputs): Promise<RunStart>;

  protected override check(options: Options): void {
    const size = this.unet.sampleSize * this.vae.scale;
    const { steps } = this.resolve(options, { width: size, height: size });
    this.stepsToRun(options, steps);
  }

  protected override async run(given: Options): Promise<GenerateResult> {
    const inputs = await this.loadInputs(given);
    const options = this.resolve(given, this.defaultSize(inputs));
    const { batch, width, height, signal } = options;
    const notes: string[] = [];
    const note = (message: string) => notes.push(message);
    const clock = new PhaseClock();
    const guided = options.guidanceScale > 1;
    const plan = planRun(
      this.schedulerFor(options),
      this.unet,
      options,
      { guided, stepsToRun: this.stepsToRun(given, options.steps) },
      note,
    );
    const tokens = readPrompts(this.components, options, guided, note);
    const latent = [batch, this.vae.latentChannels, height / this.vae.scale, width / this.vae.scale] as const;
    const size = {
      batch: guided ? 2 * batch : batch,
      height: latent[2],
      width: latent[3],
      contextLength: tokens.length,
    };
    const { tiling } = options;
    const vaeUse = { encodes: this.encodesImages, decodes: options.output !== 'latent', tiling };
    requireMemory(this.components, estimateMemory(this.components, size, vaeUse));

    const prompt = await encodePrompts(this.components, tokens, options);
    clock.lap('encode');

    const noise = new NoiseSource(this.#seeds(options), batch);
    const context = { options, compiled: plan.compiled, noise, latent, guided };
    const { latents, constant, blend } = await this.start(context, given, inputs);
    const previews = options.previewEvery ? await this.#previews(signal) : undefined;
    const draws = await noise.drawMany(plan.compiled.noiseUsed, latent[1] * latent[2] * latent[3]);
    signal?.throwIfAborted();
    clock.lap('prepare');

    const loop = await runLoop(
      this.unet,
      {
        batch,
        halves: guided ? 2 : 1,
        height: latent[2],
        width: latent[3],
        table: blend ? withBlend(plan) : plan.table,
        latents,
        ...(draws.length > 0 && { noise: draws }),
        ...(constant && { constant }),
        ...blend,
        context: contextOf(prompt),
        contextLength: prompt.length,
      },
      plan,
      options,
      previews,
    );
    clock.lap('denoise');

    const result = { data: loop.latents, shape: latent };
    const decoded = options.output === 'latent' ? undefined : await this.decode(result, options);
    const output = options.output === 'latent' ? result : decoded;
    const images = options.output === 'image' && decoded ? this.#images(decoded, options, noise.seeds) : [];
    clock.lap('decode');
    return {
      images,
      ...(options.output !== 'image' && output && { tensor: output }),
      seeds: [...noise.seeds],
      stats: this.#stats(clock, plan, loop.rowMilliseconds),
      notes,
    };
  }

  /** Latents in model scale -> pixels [n, 3, h, w] in [0, 1], one image at a time to save memory. */
  protected async decode(
    { data, shape }: Tensor,
    { tiling, signal }: Pick<ResolvedOptions, 'tiling' | 'signal'>,
  ): Promise<Tensor> {
    const [batch = 0, ...each] = shape;
    const count = data.length / batch;
    const pixels: Float32Array[] = [];
    for (let i = 0; i < batch; i++) {
      const one = data.subarray(i * count, (i + 1) * count).map((value) => value / this.vae.scalingFactor);
      const decoded = await this.vae.decode({ data: one, shape: [1, ...each] }, { tiling, signal });
      pixels.push(decoded.data.map((value) => Math.min(1, Math.max(0, value / 2 + 0.5))));
    }
    const [, height = 0, width = 0] = each.map((extent) => extent * this.vae.scale);
    return { data: concat(pixels), shape: [batch, 3, height, width] };
  }

  protected resolve(options: Options, size: { width: number; height: number }): ResolvedOptions {
    return resolveOptions(options, {
      ...size,
      scale: this.vae.scale,
      textLayers: this.textEncoder.layers,
      tileSize: this.vae.sampleSize,
      extra: this.extraOptions,
    });
  }

  async #previews(signal: AbortSignal | undefined): Promise<PreviewSettings> {
    this.components.projection ??= await fitProjection(this.vae, signal);
    return { projection: this.components.projection, scale: this.vae.scale };
  }

  #seeds({ seed, seeds }: ResolvedOptions): bigint[] {
    if (seeds) return seeds.map((value, i) => toSeed(`seeds[${i}]`, value));
    return [seed === undefined ? BigInt(randomInt(2 ** 32)) : toSeed('seed', seed)];
  }

  #images({ data }: Tensor, options: ResolvedOptions, seeds: readonly bigint[]): Image[] {
    const images = Image.fromFloatBatch(data, options.width, options.height);
    const scheduler = this.schedulerFor(options);
    images.forEach((image, i) => {
      image.metadata = { parameters: settingsOf(options, scheduler, seeds, i) };
    });
    return images;
  }

  #stats(clock: PhaseClock, { full }: RunPlan, milliseconds: Float64Array): GenerateStats {
    const fullSteps = full.filter(Boolean).length;
    const total = milliseconds.reduce((sum, value) => sum + value, 0);
    const ofFull = milliseconds.reduce((sum, value, i) => sum + (full[i] ? value : 0), 0);
    const unet = this.unet.memory();
    const vae = this.vae.memory();
    return {
      times: clock.times(),
      calls: full.length,
      fullSteps,
      retrieveSteps: full.length - fullSteps,
      speedup: (ofFull / fullSteps) * (full.length / total),
      memory: {
        weights: unet.weights + vae.weights + this.textEncoder.weightBytes,
        arenas: unet.arena + vae.peakArena,
        buffers: unet.buffers,
      },
    };
  }
}

/** Four-channel inpainting: after each call the kept part is put back, noised for the next call's timestep. */
function withBlend({ table, compiled }: RunPlan): RunPlan['table'] {
  const rows = table.rows.map((row, i) => {
    const next = compiled.noiseLevels[i + 1];
    return { ...row, blend: { init: next?.sqrtAlpha ?? 1, noise: next?.sigma ?? 0 } };
  });
  return { ...table, rows };
}
