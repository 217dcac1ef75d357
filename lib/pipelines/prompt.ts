import { invalidArgument } from '../errors.js';
import { concat, repeatRows } from '../tensor.js';
import type { Components } from './components.js';
import { checkTensor, type ResolvedOptions } from './options.js';

/** Text conditions of a run, with every prompt repeated for its images. */
export interface PromptEmbeds {
  /** [images, length, width]: what the picture should show. */
  positive: Float32Array;
  /** The same for the negative prompt, with classifier-free guidance. */
  negative?: Float32Array;
  length: number;
}

/**
 * Encodes prompts as diffusers' StableDiffusionPipeline.encode_prompt does: 77 tokens each, the final layer norm after
 * the last layer that clipSkip leaves. As there, clipSkip is for the prompt only: negative prompts pass all layers.
 */
export async function encodePrompts(
  { tokenizer, textEncoder, unet }: Pick<Components, 'tokenizer' | 'textEncoder' | 'unet'>,
  options: ResolvedOptions,
  guided: boolean,
  note: (message: string) => void,
): Promise<PromptEmbeds> {
  const { prompts, promptCount, numImages, clipSkip, signal } = options;
  const width = unet.contextWidth;
  const encode = async (name: string, texts: readonly string[], skip: number) => {
    const ids = tokenizer.encodePadded(texts, {
      onTruncated: (i, dropped) =>
        note(`${name}${texts.length > 1 ? `[${i}]` : ''} is too long, this was cut off: "${dropped}"`),
    });
    return (await textEncoder.encode(ids, texts.length, { skip, signal })).last;
  };
  const spread = (data: Float32Array) => repeatRows(data, promptCount, numImages);

  const given =
    options.promptEmbeds && checkTensor('promptEmbeds', options.promptEmbeds, [null, null, width]);
  const length = given ? (given.shape[1] as number) : tokenizer.modelMaxLength;
  if (prompts && !guided) return { positive: spread(await encode('prompt', prompts, clipSkip)), length };

  let negative: Float32Array | undefined;
  if (guided && options.negativePromptEmbeds) {
    negative = checkTensor('negativePromptEmbeds', options.negativePromptEmbeds, [
      promptCount,
      length,
      width,
    ]).data;
  } else if (guided) {
    if (length !== tokenizer.modelMaxLength) {
      throw invalidArgument('negativePromptEmbeds', `must be given: promptEmbeds has ${length} tokens`);
    }
    const texts = options.negativePrompts ?? [''];
    // One text for all is encoded once.
    const encoded = await encode('negativePrompt', texts, 0);
    negative = texts.length === promptCount ? encoded : repeatRows(encoded, 1, promptCount);
  }
  const positive = given?.data ?? (await encode('prompt', prompts as readonly string[], clipSkip));
  return { positive: spread(positive), ...(negative && { negative: spread(negative) }), length };
}

/** The U-Net's context [negative, positive]. */
export function contextOf({ positive, negative }: PromptEmbeds): Float32Array {
  return negative ? concat([negative, positive]) : positive;
}
