import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { TextReader } from '../../embeddings/textual-inversions.js';
import { invalidArgument } from '../../errors.js';
import { checkTensor } from '../../options/checks.js';
import { emptyBlock, type TokenBlock, toBlocks } from '../../prompts/blocks.js';
import { applyWeights } from '../../prompts/weighting.js';
import { inSlices } from '../../slices.js';
import { joined, repeatRows, type Tensor } from '../../tensor.js';
import type { CLIPTokenizer } from '../../tokenizers/clip-tokenizer.js';
import type { TextRunOptions } from '../inputs/options.js';
import type { SDParts } from '../loading/parts.js';

/** Text conditions of a run before they are encoded: either blocks of tokens for each text, or tensors. */
export interface PromptTokens {
  positive: TokenBlock[][] | Float32Array;
  /** One for all prompts, or one each; with classifier-free guidance. */
  negative?: TokenBlock[][] | Float32Array;
  /** Tokens that the U-Net will read for each image. */
  length: number;
  /** What encodes them. */
  reader: TextReader;
}

/** Text conditions of a run, with every prompt repeated for its images. */
export interface PromptEmbeds {
  /** [images, length, width]: what the picture should show. */
  positive: Float32Array;
  /** The same for the negative prompt, with classifier-free guidance. */
  negative?: Float32Array;
  length: number;
}

/** Blocks that are encoded at once: enough to be fast, few enough to need little memory. */
const BATCH = 16;

/** Texts of one option of which notes say what was cut off. */
const MOST_QUOTED = 3;

/** The blocks of each text, by the options for long and weighted prompts. */
export async function readTexts(
  tokenizer: CLIPTokenizer,
  name: string,
  texts: readonly string[],
  {
    longPrompts,
    promptWeighting,
    signal,
  }: Pick<TextRunOptions, 'longPrompts' | 'promptWeighting' | 'signal'>,
  note: (message: string) => void,
): Promise<TokenBlock[][]> {
  const blocks: TokenBlock[][] = [];
  let cut = 0;
  for (const [i, text] of texts.entries()) {
    const title = `${name}${texts.length > 1 ? `[${i}]` : ''}`;
    const onTruncated = (dropped: string) => {
      if (++cut <= MOST_QUOTED) note(`${title} is too long, this was cut off: "${dropped}"`);
    };
    const options = { name: title, long: longPrompts, weighted: promptWeighting, onTruncated };
    blocks.push(await inSlices(toBlocks(tokenizer, text, options), signal));
  }
  if (cut > MOST_QUOTED)
    note(`${cut - MOST_QUOTED} more of the texts in ${name} are too long and were cut off`);
  return blocks;
}

/** Gives every text as many blocks. */
export function fillBlocks(tokenizer: CLIPTokenizer, texts: TokenBlock[][], count: number): void {
  for (const blocks of texts) while (blocks.length < count) blocks.push(emptyBlock(tokenizer));
}

/**
 * Turns the prompts of a run into tokens. All get as many blocks as the longest of them, negative ones too; empty
 * blocks fill them up.
 *
 * @param note receives what was cut off.
 */
export async function readPrompts(
  { models, textEncoder, unet, ...parts }: Pick<SDParts, 'tokenizer' | 'textEncoder' | 'unet' | 'models'>,
  options: TextRunOptions,
  guided: boolean,
  note: (message: string) => void,
): Promise<PromptTokens> {
  const { prompts, promptEmbeds, negativePromptEmbeds, promptCount } = options;
  const reader = models.embeddings.readerOf({ tokenizer: parts.tokenizer, encoder: textEncoder }, 0);
  const { tokenizer } = reader;
  const read = (name: string, texts: readonly string[]) => readTexts(tokenizer, name, texts, options, note);
  const negativeTexts = () => read('negativePrompt', options.negativePrompts ?? ['']);
  const fill = (texts: TokenBlock[][], count: number) => fillBlocks(tokenizer, texts, count);
  const each = tokenizer.modelMaxLength;

  if (prompts) {
    const positive = await read('prompt', prompts);
    const negative = guided ? await negativeTexts() : undefined;
    const count = Math.max(...[...positive, ...(negative ?? [])].map((blocks) => blocks.length));
    for (const texts of [positive, negative ?? []]) fill(texts, count);
    return { positive, ...(negative && { negative }), length: count * each, reader };
  }
  const shape = [null, null, unet.contextWidth];
  const given = await checkTensor('promptEmbeds', promptEmbeds as Tensor, shape, options.signal);
  const length = given.shape[1] as number;
  if (!guided) return { positive: given.data, length, reader };
  if (negativePromptEmbeds) {
    const same = [promptCount, length, unet.contextWidth];
    const { signal } = options;
    const negative = await checkTensor('negativePromptEmbeds', negativePromptEmbeds, same, signal);
    return { positive: given.data, negative: negative.data, length, reader };
  }
  const negative = await negativeTexts();
  const fits = options.longPrompts
    ? length % each === 0 && negative.every((blocks) => blocks.length * each <= length)
    : length === each;
  if (!fits)
    throw invalidArgument('negativePromptEmbeds', `must be given: promptEmbeds has ${length} tokens`);
  fill(negative, length / each);
  return { positive: given.data, negative, length, reader };
}

/**
 * Encodes texts of the same number of blocks: the states of their tokens [texts, tokens, width], weighted, and the
 * pooled output of each text's first block [texts, pooled].
 *
 * @param options.hidden the hidden state to take, before the final layer norm; by default the normed output.
 */
export async function encodeBlocks(
  { encoder, added }: Pick<TextReader, 'encoder' | 'added'>,
  texts: readonly (readonly TokenBlock[])[],
  { skip = 0, hidden, signal }: { skip?: number; hidden?: number; signal?: AbortSignal | undefined },
): Promise<{ states: Float32Array; pooled: Float32Array }> {
  const blocks = texts.flat();
  const perText = blocks.length / texts.length;
  const states: Float32Array[] = [];
  const pooled: Float32Array[] = [];
  for (let i = 0; i < blocks.length; i += BATCH) {
    const batch = blocks.slice(i, i + BATCH);
    const ids = Int32Array.from(batch.flatMap(({ ids }) => ids));
    const wanted = hidden === undefined ? [] : [hidden];
    const output = await encoder.encode(ids, batch.length, { skip, hidden: wanted, added, signal });
    const state = output.hidden[0] ?? output.last;
    const size = state.length / batch.length;
    const width = output.pooled.length / batch.length;
    for (const [k, { weights }] of batch.entries()) {
      if (k > 0) await yieldToLoop();
      applyWeights(state.subarray(k * size, (k + 1) * size), weights);
      if ((i + k) % perText === 0) pooled.push(output.pooled.subarray(k * width, (k + 1) * width));
    }
    states.push(state);
  }
  return {
    states: await inSlices(joined(states), signal),
    pooled: await inSlices(joined(pooled), signal),
  };
}

/**
 * Encodes prompts as diffusers' StableDiffusionPipeline.encode_prompt does, each block of 77 tokens for itself: the
 * final layer norm after the last layer that clipSkip leaves. As there, clipSkip is for the prompt only: negative
 * prompts pass all layers.
 */
export async function encodePrompts(
  { positive, negative, length, reader }: PromptTokens,
  { promptCount, numImages, clipSkip, signal }: TextRunOptions,
): Promise<PromptEmbeds> {
  const encode = async (texts: TokenBlock[][] | Float32Array, skip: number) =>
    Array.isArray(texts) ? (await encodeBlocks(reader, texts, { skip, signal })).states : texts;
  const repeat = (data: Float32Array, rows: number, times: number) =>
    inSlices(repeatRows(data, rows, times), signal);
  const spread = (data: Float32Array) => repeat(data, promptCount, numImages);
  const encodeAll = async (): Promise<PromptEmbeds> => {
    const out: PromptEmbeds = { positive: await spread(await encode(positive, clipSkip)), length };
    if (!negative) return out;
    const encoded = await encode(negative, 0);
    // One text for all is encoded once.
    const isShared = Array.isArray(negative) && negative.length < promptCount;
    out.negative = await spread(isShared ? await repeat(encoded, 1, promptCount) : encoded);
    return out;
  };
  const isGiven = !Array.isArray(positive) && !Array.isArray(negative);
  return isGiven ? encodeAll() : reader.encoder.use(encodeAll, signal);
}

/** The U-Net's context: [positive], [negative, positive], or with a third output the negative prompt's once more. */
export async function contextOf(
  { positive, negative }: PromptEmbeds,
  outputs: number,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  if (!negative) return positive;
  return inSlices(joined([negative, positive, negative].slice(0, outputs)), signal);
}
