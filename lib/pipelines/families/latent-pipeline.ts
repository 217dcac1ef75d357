import type { Image } from '../../images/image.js';
import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import type { CLIPTextModel } from '../../models/text-encoder.js';
import { requireShapes } from '../../options/checks.js';
import type { Family } from '../../options/families.js';
import type { Valid } from '../../options/valid.js';
import { fitProjection } from '../../previews/fit.js';
import type { LatentProjection } from '../../previews/projection.js';
import { inSlices } from '../../slices.js';
import { FloatTensor, newFloats, type Tensor } from '../../tensor.js';
import { guidanceEmbedding } from '../conditioning/guidance-embedding.js';
import { DiffusionPipeline } from '../diffusion-pipeline.js';
import { repeatTo } from '../inputs/encode-image.js';
import { NoiseSource } from '../inputs/noise.js';
import { type GenerateOptions, type ResolvedOptions, resolveOptions } from '../inputs/options.js';
import type { RunKind, RunSpan } from '../inputs/run-kind.js';
import { seedsOf, tellSeeds } from '../inputs/seeds.js';
import { checkInputs } from '../loading/fit.js';
import { withDefaults } from '../loading/generation-config.js';
import type { PipelineParts } from '../loading/parts.js';
import { type PreviewSettings, planRun, type RunPlan, runLoop } from '../loop/denoise.js';
import { estimateMemory, requireMemory } from '../loop/memory.js';
import { toImages, toUnit } from '../outputs/pixels.js';
import { type GenerateResult, type GenerateStats, runResult } from '../outputs/result.js';
import {
  endFields,
  recipeOf,
  type SettingsFields,
  samplerFields,
  settingsText,
} from '../outputs/settings.js';
import { PhaseClock, runStats } from '../outputs/stats.js';

/** The parts that every pipeline of latents has. */
export interface LatentParts extends PipelineParts {
  readonly vae: AutoencoderKL;
  /** Colours of previews; undefined until they are needed where they have to be fitted. */
  projection: LatentProjection | undefined;
}

/** What conditions the U-Net besides time; all of [negative, positive] with guidance. */
export interface Conditions {
  /** [n, length, width] */
  context: Float32Array;
  /** SDXL: [n, pooled] and [n, ids]. */
  textEmbeds?: Float32Array;
  timeIds?: Float32Array;
}

/** Encoded prompts, with every prompt repeated for its images: what options of the same names take. */
export interface EncodedPrompt {
  /** [images, tokens, width] */
  promptEmbeds: Tensor;
  /** With guidance. */
  negativePromptEmbeds?: Tensor;
  /** SDXL: [images, width] */
  pooledPromptEmbeds?: Tensor;
  negativePooledPromptEmbeds?: Tensor;
}

/** Prompts that were read, but not encoded yet: enough to know what a run needs. */
export interface PreparedConditions {
  /** Tokens that the U-Net will read for each image. */
  length: number;
  encode(): Promise<Conditions>;
}

/**
 * A pipeline that denoises latents from text. Subclasses differ in the model's text encoders and in the kind of run.
 *
 * @typeParam Inputs what a run loads before it starts, such as images.
 */
export abstract class LatentPipeline<
  Options extends GenerateOptions,
  Inputs,
  Parts extends LatentParts,
> extends DiffusionPipeline<Options, Parts> {
  /** What runs are made from. */
  protected abstract readonly kind: RunKind<Options, Inputs>;

  /** Whose options it takes. */
  protected abstract readonly family: Family;

  /** Channels of a tensor that stands for a picture. */
  protected readonly imageChannels: readonly number[] = [3];

  /** Guidance when options name none. */
  protected readonly defaultGuidance: number = 7.5;

  protected abstract get textEncoders(): readonly CLIPTextModel[];

  /** Reads the prompts and whatever else conditions the model. Throws what is wrong with it. */
  protected abstract prepareConditions(
    options: ResolvedOptions,
    given: Options,
    guided: boolean,
    note: (message: string) => void,
  ): Promise<PreparedConditions>;

  /** Encodes the prompts of a run (diffusers' encode_prompt), for several runs to use. */
  async encodePrompt(options: Valid<Options>): Promise<EncodedPrompt> {
    const given = withDefaults<Options>(this.defaults, options);
    this.resolve(given);
    return this.beside((signal) => this.encode({ ...given, signal }), given.signal);
  }

  /** Encodes the prompts of options that have their defaults. */
  protected abstract encode(options: Options): Promise<EncodedPrompt>;

  /** Which part of the schedule a run takes. */
  protected span(options: Options, steps: number): RunSpan {
    return this.kind.span(options, steps);
  }

  get vae(): AutoencoderKL {
    return this.components.vae;
  }

  protected override checkParts(what: string): void {
    const { takesMask } = this.kind;
    checkInputs(what, { inputs: this.unet.inChannels, latents: this.vae.latentChannels, takesMask });
  }

  protected override check(options: Options): void {
    const resolved = this.resolve(options);
    this.plan(resolved, options);
    const { batch, promptCount, promptEmbeds, width, height } = resolved;
    const { vae, unet } = this;
    requireShapes(options, {
      promptEmbeds: [null, null, unet.contextWidth],
      negativePromptEmbeds: [promptCount, promptEmbeds?.shape[1] ?? null, unet.contextWidth],
    });
    // The size of other kinds of runs is that of their pictures.
    if (this.kind.encodesImages) return;
    requireShapes(options, {
      latents: [batch, vae.latentChannels, height / vae.scale, width / vae.scale],
    });
  }

  /** The plan of a run. */
  protected plan(
    options: ResolvedOptions,
    given: Options,
    note: (message: string) => void = () => {},
  ): { span: RunSpan; plan: RunPlan } {
    const span = this.span(given, options.steps);
    const guided = this.guides(options);
    return {
      span,
      plan: planRun(this.schedulerFor(options), this.unet, options, { guided, ...span }, note),
    };
  }

  protected override async run(given: Options): Promise<GenerateResult> {
    const inputs = await this.kind.load(given);
    const options = this.resolve(given, this.kind.size(inputs, this.vae.scale));
    const { batch, width, height, signal } = options;
    const notes: string[] = [];
    const note = (message: string) => notes.push(message);
    const clock = new PhaseClock();
    const guided = this.guides(options);
    if (this.unet.timeCondWidth > 0 && options.negativePrompt !== undefined) {
      note('the negative prompt is not used: this U-Net takes the guidance scale as an input');
    }
    const { span, plan } = this.plan(options, given, note);
    const prepared = await this.prepareConditions(options, given, guided, note);
    const latent = [batch, this.vae.latentChannels, height / this.vae.scale, width / this.vae.scale] as const;
    const size = {
      batch: guided ? 2 * batch : batch,
      height: latent[2],
      width: latent[3],
      contextLength: prepared.length,
    };
    const { tiling } = options;
    const vaeUse = { encodes: this.kind.encodesImages, decodes: options.output !== 'latent', tiling, signal };
    const need = await estimateMemory(this.components, size, vaeUse);
    requireMemory(this.components, { ...need, pictures: this.kind.bytes(inputs, options) });

    const run = await this.kind.prepare(inputs, given, options, note);
    const conditions = await prepared.encode();
    clock.lap('encode');

    const noise = new NoiseSource(seedsOf(options), batch);
    const { unet, vae } = this.components;
    const continues = span.denoisingStart !== undefined;
    const context = { unet, vae, options, compiled: plan.compiled, noise, latent, guided, continues };
    const { latents, constant, blend } = await run.start(context);
    const previews = options.previewEvery ? await this.#previews(signal) : undefined;
    const draws = noise.following(plan.compiled.noiseUsed);
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
        ...(draws && { noise: draws }),
        ...(constant && { constant }),
        ...blend,
        ...conditions,
        ...(this.unet.timeCondWidth > 0 && { timestepCond: this.#guidanceInput(options) }),
        contextLength: prepared.length,
      },
      plan,
      options,
      previews,
    );
    clock.lap('denoise');

    const result = new FloatTensor(loop.latents, latent);
    const decoded = options.output === 'latent' ? undefined : await this.decode(result, options);
    if (decoded) await run.finish?.(decoded);
    const output = options.output === 'latent' ? result : decoded;
    const settings = this.#settings(options, given, span, noise.seeds);
    const images =
      options.output === 'image' && decoded ? await this.#images(decoded, options, settings) : [];
    clock.lap('decode');
    return runResult({
      images,
      ...(options.output !== 'image' && output && { tensor: output }),
      settings,
      seeds: tellSeeds(noise.seeds),
      stats: runStats(clock, plan.full, loop.rowMilliseconds, this.#memory()),
      notes,
    });
  }

  /** Latents in model scale -> pixels [n, 3, h, w] in [0, 1], one image at a time to save memory. */
  protected async decode(
    { data, shape }: Tensor,
    { tiling, signal }: Pick<ResolvedOptions, 'tiling' | 'signal'>,
  ): Promise<Tensor> {
    const [batch = 0, ...each] = shape;
    const [, height = 0, width = 0] = each.map((extent) => extent * this.vae.scale);
    const count = data.length / batch;
    const pixels = newFloats(batch * 3 * height * width);
    for (let i = 0; i < batch; i++) {
      const latents = data.subarray(i * count, (i + 1) * count);
      const scaled = this.vae.latentScale.fromModel(latents, (height * width) / this.vae.scale ** 2);
      const one = await inSlices(scaled, signal);
      const decoded = await this.vae.decode({ data: one, shape: [1, ...each] }, { tiling, signal });
      await inSlices(toUnit(decoded.data, pixels.subarray(i * 3 * height * width)), signal);
    }
    return new FloatTensor(pixels, [batch, 3, height, width]);
  }

  protected resolve(options: Options, size?: { width: number; height: number }): ResolvedOptions {
    const { sampleWidth, sampleHeight } = this.unet;
    const own = { width: sampleWidth * this.vae.scale, height: sampleHeight * this.vae.scale };
    return resolveOptions(this.family, options, {
      ...(size ?? own),
      scale: this.vae.scale,
      guidanceScale: this.defaultGuidance,
      textLayers: Math.min(...this.textEncoders.map(({ layers }) => layers)),
      tileSize: this.vae.sampleSize,
      imageChannels: this.imageChannels,
    });
  }

  /** Whether a run computes each image with the negative prompt too. */
  protected guides({ guidanceScale }: Pick<ResolvedOptions, 'guidanceScale'>): boolean {
    return guidanceScale > 1 && this.unet.timeCondWidth === 0;
  }

  #guidanceInput({ batch, guidanceScale }: ResolvedOptions): Float32Array {
    return repeatTo(guidanceEmbedding(guidanceScale, this.unet.timeCondWidth), 1, batch);
  }

  async #previews(signal: AbortSignal | undefined): Promise<PreviewSettings> {
    this.components.projection ??= await fitProjection(this.vae, signal);
    return { projection: this.components.projection, scale: this.vae.scale };
  }

  /** What the settings in a picture say of the model's own options. */
  protected ownSettings(_given: Options, _prompt: number): SettingsFields {
    return {};
  }

  #settings(options: ResolvedOptions, given: Options, span: RunSpan, seeds: readonly bigint[]): string[] {
    const sampler = samplerFields(this.schedulerFor(options), options);
    const end = endFields(this.components, options.cache);
    return Array.from({ length: options.batch }, (_, image) => {
      const own = {
        ...this.kind.settings(given, span),
        'Denoising start': span.denoisingStart,
        'Denoising end': span.denoisingEnd,
        ...this.ownSettings(given, Math.floor(image / options.numImages)),
      };
      return settingsText(recipeOf(options, seeds, image, { sampler, own, end }));
    });
  }

  async #images(pixels: Tensor, { signal }: ResolvedOptions, settings: readonly string[]): Promise<Image[]> {
    const images = await toImages(pixels, signal);
    for (const [i, image] of images.entries()) {
      image.metadata = { parameters: settings[i] as string };
    }
    return images;
  }

  #memory(): GenerateStats['memory'] {
    const unet = this.unet.memory();
    const vae = this.vae.memory();
    const text = this.textEncoders.reduce((sum, { weightBytes }) => sum + weightBytes, 0);
    return {
      weights: unet.weights + vae.weights + text,
      arenas: unet.arena + vae.peakArena,
      buffers: unet.buffers,
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
