import type { CLIPTextModel } from '../../models/text-encoder.js';
import { FloatTensor } from '../../tensor.js';
import type { CLIPTokenizer } from '../../tokenizers/clip-tokenizer.js';
import { contextOf, encodePrompts, readPrompts } from '../conditioning/prompt.js';
import type { GenerateOptions, ResolvedOptions } from '../inputs/options.js';
import { textToImage } from '../inputs/text-to-image.js';
import type { ModelIndex } from '../loading/model-index.js';
import { type Components, type LoadOptions, loadComponents } from '../loading/parts.js';
import { registerPipeline } from '../loading/registry.js';
import { type EncodedPrompt, LatentPipeline, type PreparedConditions } from './latent-pipeline.js';

/** Stable Diffusion 1.x, 2.x and models of their structure: one text encoder. */
export abstract class StableDiffusion<Options extends GenerateOptions, Inputs> extends LatentPipeline<
  Options,
  Inputs,
  Components
> {
  static override readonly parts: readonly string[] = ['unet', 'vae', 'textEncoder', 'tokenizer'];

  /** @internal */
  static load(index: ModelIndex, options: LoadOptions): Promise<Components> {
    return loadComponents(index, options);
  }

  get textEncoder(): CLIPTextModel {
    return this.components.textEncoder;
  }

  get tokenizer(): CLIPTokenizer {
    return this.components.tokenizer;
  }

  protected override async encode(options: Options): Promise<EncodedPrompt> {
    const resolved = this.resolve(options);
    const tokens = await readPrompts(this.components, resolved, this.guides(resolved), () => {});
    const { positive, negative, length } = await encodePrompts(this.components, tokens, resolved);
    const shape = [resolved.batch, length, this.unet.contextWidth];
    return {
      promptEmbeds: new FloatTensor(positive, shape),
      ...(negative && { negativePromptEmbeds: new FloatTensor(negative, shape) }),
    };
  }

  protected override get textEncoders(): readonly CLIPTextModel[] {
    return [this.components.textEncoder];
  }

  protected override async prepareConditions(
    options: ResolvedOptions,
    _given: Options,
    guided: boolean,
    note: (message: string) => void,
  ): Promise<PreparedConditions> {
    const tokens = await readPrompts(this.components, options, guided, note);
    return {
      length: tokens.length,
      encode: async () => {
        const embeds = await encodePrompts(this.components, tokens, options);
        return { context: await contextOf(embeds, options.signal) };
      },
    };
  }
}

/** Text to image with Stable Diffusion 1.x, 2.x and models of their structure. */
export class StableDiffusionPipeline extends StableDiffusion<GenerateOptions, undefined> {
  static override readonly className: string = 'StableDiffusionPipeline';
  protected override readonly family = 'text2img';
  protected override readonly kind = textToImage();
}

registerPipeline(StableDiffusionPipeline);
