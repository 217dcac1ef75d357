import { invalidArgument } from '../errors.js';
import type { CLIPTextModel } from '../models/text-encoder.js';
import { concat, FloatTensor } from '../tensor.js';
import { real } from './checks.js';
import type { LoadOptions } from './components.js';
import { loadXLComponents, type XLComponents } from './components-xl.js';
import { type Img2ImgInputs, type Img2ImgOptions, imageToImage } from './image-to-image.js';
import { type InpaintInputs, type InpaintOptions, inpainting } from './inpainting.js';
import { type EncodedPrompt, LatentPipeline, type PreparedConditions } from './latent-pipeline.js';
import type { ModelIndex } from './model-index.js';
import type { ResolvedOptions } from './options.js';
import { readXLPrompt, type XLPromptOptions } from './prompt-xl.js';
import { registerPipeline } from './registry.js';
import type { RunSpan } from './run-kind.js';
import type { SettingsFields } from './settings.js';
import { textToImage } from './text-to-image.js';
import { timeIds, XL_SIZE_OPTIONS, type XLSizeOptions } from './time-ids.js';

/** What SDXL takes besides the options of every pipeline. */
export interface XLOptions extends XLPromptOptions, XLSizeOptions {
  /** Stop after this fraction of the denoising, between 0 and 1; hand the latents to a refiner. */
  denoisingEnd?: number;
  /** Go on from this fraction with the latents of a run that ended there: `image`, or `latents` beside a mask. */
  denoisingStart?: number;
}

export type XLImg2ImgOptions = XLOptions & Img2ImgOptions;
export type XLInpaintOptions = XLOptions & InpaintOptions;

/** Stable Diffusion XL, base (two text encoders) and refiner (one, with aesthetic scores). */
export abstract class StableDiffusionXL<Options extends XLOptions, Inputs> extends LatentPipeline<
  Options,
  Inputs,
  XLComponents
> {
  static override readonly parts: readonly string[] = ['unet', 'vae', 'text'];

  protected override readonly defaultGuidance: number = 5;
  protected override readonly modelOptions: readonly string[] = [
    'prompt2',
    'negativePrompt2',
    'pooledPromptEmbeds',
    'negativePooledPromptEmbeds',
    ...XL_SIZE_OPTIONS,
    'denoisingEnd',
    'denoisingStart',
  ];

  /** @internal */
  static load(index: ModelIndex, options: LoadOptions): Promise<XLComponents> {
    return loadXLComponents(index, options);
  }

  protected override async encode(options: Options): Promise<EncodedPrompt> {
    const resolved = this.resolve(options);
    const guided = this.guides(resolved);
    const prompt = await readXLPrompt(this.components, resolved, options, guided, () => {});
    const { positive, negative } = await prompt.encode();
    const { batch } = resolved;
    const states = (data: Float32Array) =>
      new FloatTensor(data, [batch, prompt.length, this.unet.contextWidth]);
    const pooled = (data: Float32Array) => new FloatTensor(data, [batch, data.length / batch]);
    return {
      promptEmbeds: states(positive.states),
      pooledPromptEmbeds: pooled(positive.pooled),
      ...(negative && {
        negativePromptEmbeds: states(negative.states),
        negativePooledPromptEmbeds: pooled(negative.pooled),
      }),
    };
  }

  protected override get textEncoders(): readonly CLIPTextModel[] {
    return this.components.text.map(({ encoder }) => encoder);
  }

  protected override span(options: Options, steps: number): RunSpan {
    const fraction = (name: 'denoisingStart' | 'denoisingEnd') => {
      const value = options[name];
      if (value === undefined) return undefined;
      if (real(name, value, 0, 0, 1) > 0 && value < 1) return value;
      throw invalidArgument(name, `must be a number between 0 and 1, got ${value}`);
    };
    const denoisingStart = fraction('denoisingStart');
    const denoisingEnd = fraction('denoisingEnd');
    if (denoisingStart !== undefined && denoisingEnd !== undefined && denoisingStart >= denoisingEnd) {
      throw invalidArgument(
        'denoisingStart',
        `must be below denoisingEnd (${denoisingEnd}), got ${denoisingStart}`,
      );
    }
    if (denoisingStart !== undefined && !this.kind.encodesImages) {
      throw invalidArgument(
        'denoisingStart',
        'needs the latents of an earlier run: use the Img2Img pipeline',
      );
    }
    // Where a run starts is said once: strength counts for nothing beside denoisingStart.
    const from = denoisingStart === undefined ? options : { ...options, strength: 1 };
    return { ...this.kind.span(from, steps), denoisingStart, denoisingEnd };
  }

  protected override ownSettings(given: Options, prompt: number): SettingsFields {
    const text = (value: string | readonly string[] | undefined) =>
      typeof value === 'string' ? value : (value?.[prompt] ?? value?.[0]);
    const sizes = XL_SIZE_OPTIONS.filter((name) => given[name] !== undefined);
    return {
      'Prompt 2': text(given.prompt2),
      'Negative prompt 2': text(given.negativePrompt2),
      'Size conditions':
        sizes.length > 0 && JSON.stringify(Object.fromEntries(sizes.map((name) => [name, given[name]]))),
    };
  }

  protected override async prepareConditions(
    options: ResolvedOptions,
    given: Options,
    guided: boolean,
    note: (message: string) => void,
  ): Promise<PreparedConditions> {
    const prompt = await readXLPrompt(this.components, options, given, guided, note);
    const { width, height, batch } = options;
    const ids = timeIds(given, { width, height, aesthetic: this.components.requiresAestheticsScore });
    const halves = guided ? [ids.negative, ids.positive] : [ids.positive];
    return {
      length: prompt.length,
      encode: async () => {
        const { positive, negative } = await prompt.encode();
        const embeds = negative ? [negative, positive] : [positive];
        return {
          context: concat(embeds.map(({ states }) => states)),
          textEmbeds: concat(embeds.map(({ pooled }) => pooled)),
          timeIds: Float32Array.from(
            halves.flatMap((half) => Array.from({ length: batch }, () => half).flat()),
          ),
        };
      },
    };
  }
}

/** Text to image with Stable Diffusion XL. */
export class StableDiffusionXLPipeline extends StableDiffusionXL<XLOptions, undefined> {
  static override readonly className: string = 'StableDiffusionXLPipeline';
  protected override readonly kind = textToImage();
}

/** Image to image with Stable Diffusion XL; also the refiner, which takes another run's latents as `image`. */
export class StableDiffusionXLImg2ImgPipeline extends StableDiffusionXL<XLImg2ImgOptions, Img2ImgInputs> {
  static override readonly className: string = 'StableDiffusionXLImg2ImgPipeline';
  protected override readonly kind = imageToImage<XLImg2ImgOptions>(0.3, true);
}

/** Inpainting with Stable Diffusion XL: U-Nets of nine channels and ordinary ones. */
export class StableDiffusionXLInpaintPipeline extends StableDiffusionXL<XLInpaintOptions, InpaintInputs> {
  static override readonly className: string = 'StableDiffusionXLInpaintPipeline';
  protected override readonly kind = inpainting<XLInpaintOptions>(0.9999);
  protected override readonly defaultGuidance: number = 7.5;
}

for (const pipeline of [
  StableDiffusionXLPipeline,
  StableDiffusionXLImg2ImgPipeline,
  StableDiffusionXLInpaintPipeline,
]) {
  registerPipeline(pipeline);
}
