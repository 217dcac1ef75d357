import { invalidArgument } from '../../errors.js';
import type { ImageInput } from '../../images/input.js';
import type { CLIPTextModel } from '../../models/text-encoder.js';
import { requireShapes } from '../../options/checks.js';
import type { OptionsOf } from '../../options/spec/index.js';
import type { Valid } from '../../options/valid.js';
import { inSlices } from '../../slices.js';
import { FloatTensor, joined, type Tensor } from '../../tensor.js';
import { readXLPrompt } from '../conditioning/prompt-xl.js';
import { timeIds, XL_SIZE_OPTIONS } from '../conditioning/time-ids.js';
import { type Img2ImgInputs, imageToImage } from '../inputs/image-to-image.js';
import { type InpaintInputs, inpainting } from '../inputs/inpainting.js';
import type { ResolvedOptions } from '../inputs/options.js';
import type { RunSpan } from '../inputs/run-kind.js';
import { textToImage } from '../inputs/text-to-image.js';
import type { ModelIndex } from '../loading/model-index.js';
import type { LoadOptions } from '../loading/parts.js';
import { registerPipeline } from '../loading/registry.js';
import { loadXLComponents, type XLComponents } from '../loading/xl-parts.js';
import type { SettingsFields } from '../outputs/settings.js';
import { type EncodedPrompt, LatentPipeline, type PreparedConditions } from './latent-pipeline.js';

/** Encoded prompts of SDXL, see {@link EncodedPrompt}. */
export interface XLEncodedPrompt extends EncodedPrompt {
  /** [images, width] */
  pooledPromptEmbeds: Tensor;
}

/** What SDXL takes. */
export interface XLOptions extends OptionsOf<'xl'> {}

/** What SDXL takes with a picture. */
export interface XLImg2ImgOptions extends OptionsOf<'xl-img2img'> {
  image: ImageInput;
}

/** What SDXL takes with a picture and a mask. */
export interface XLInpaintOptions extends OptionsOf<'xl-inpaint'> {
  image: ImageInput;
  maskImage: ImageInput;
}

/** Stable Diffusion XL, base (two text encoders) and refiner (one, with aesthetic scores). */
export abstract class StableDiffusionXL<Options extends XLOptions, Inputs> extends LatentPipeline<
  Options,
  Inputs,
  XLComponents
> {
  static override readonly parts: readonly string[] = ['unet', 'vae', 'text'];

  protected override readonly defaultGuidance: number = 5;

  /** @internal */
  static load(index: ModelIndex, options: LoadOptions): Promise<XLComponents> {
    return loadXLComponents(index, options);
  }

  protected override check(options: Options): void {
    super.check(options);
    const { promptEmbeds, negativePromptEmbeds } = options;
    const { pooledWidth } = this.textEncoders.at(-1) as CLIPTextModel;
    for (const [name, beside] of [
      ['pooledPromptEmbeds', promptEmbeds],
      ['negativePooledPromptEmbeds', negativePromptEmbeds],
    ] as const) {
      if (!beside) continue;
      if (!options[name]) throw invalidArgument(name, 'is missing: it goes with the other embeddings');
      requireShapes(options, { [name]: [beside.shape[0] as number, pooledWidth] });
    }
  }

  /** As with the other models; pooled embeddings are among what it gives. */
  override async encodePrompt(options: Valid<Options>): Promise<XLEncodedPrompt> {
    return (await super.encodePrompt(options)) as XLEncodedPrompt;
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
    const { denoisingStart, denoisingEnd } = options as OptionsOf<'xl-img2img'>;
    if (denoisingStart !== undefined && denoisingEnd !== undefined && denoisingStart >= denoisingEnd) {
      throw invalidArgument(
        'denoisingStart',
        `must be below denoisingEnd (${denoisingEnd}), got ${denoisingStart}`,
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
    const both = (parts: Float32Array[]) => inSlices(joined(parts), options.signal);
    return {
      length: prompt.length,
      encode: async () => {
        const { positive, negative } = await prompt.encode();
        const embeds = negative ? [negative, positive] : [positive];
        return {
          context: await both(embeds.map(({ states }) => states)),
          textEmbeds: await both(embeds.map(({ pooled }) => pooled)),
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
  protected override readonly family = 'xl';
  protected override readonly kind = textToImage();
}

/** Image to image with Stable Diffusion XL; also the refiner, which takes another run's latents as `image`. */
export class StableDiffusionXLImg2ImgPipeline extends StableDiffusionXL<XLImg2ImgOptions, Img2ImgInputs> {
  static override readonly className: string = 'StableDiffusionXLImg2ImgPipeline';
  protected override readonly family = 'xl-img2img';
  protected override readonly imageChannels = [3, 4];
  protected override readonly kind = imageToImage<XLImg2ImgOptions>(0.3, true);
}

/** Inpainting with Stable Diffusion XL: U-Nets of nine channels and ordinary ones. */
export class StableDiffusionXLInpaintPipeline extends StableDiffusionXL<XLInpaintOptions, InpaintInputs> {
  static override readonly className: string = 'StableDiffusionXLInpaintPipeline';
  protected override readonly family = 'xl-inpaint';
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
