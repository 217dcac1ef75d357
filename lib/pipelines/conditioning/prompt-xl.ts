import type { TextReader, TextualInversion } from '../../embeddings/textual-inversions.js';
import { invalidArgument } from '../../errors.js';
import { checkTensor, textList } from '../../options/checks.js';
import type { OptionsOf } from '../../options/spec/index.js';
import type { TokenBlock } from '../../prompts/blocks.js';
import { inSlices, type Sliced } from '../../slices.js';
import { newFloats, repeatRows, type Tensor } from '../../tensor.js';
import type { TextRunOptions } from '../inputs/options.js';
import type { XLParts } from '../loading/parts.js';
import { encodeBlocks, fillBlocks, readTexts } from './prompt.js';

/** Text options of SDXL besides those of every pipeline. */
export type XLPromptOptions = Pick<
  OptionsOf<'xl'>,
  | 'promptEmbeds'
  | 'negativePromptEmbeds'
  | 'prompt2'
  | 'negativePrompt2'
  | 'pooledPromptEmbeds'
  | 'negativePooledPromptEmbeds'
>;

/** What reading needs of a model. */
type XLTextParts = Pick<XLParts, 'text' | 'unet' | 'forceZerosForEmptyPrompt' | 'models'>;

/** States [images, length, width] and pooled embedding [images, pooled] of one half of the guidance. */
export interface XLEmbeds {
  states: Float32Array;
  pooled: Float32Array;
}

/** A text encoder and the tokens that it reads. */
interface BranchTokens extends TextReader {
  positive: TokenBlock[][];
  negative: TokenBlock[][] | undefined;
}

/** Prompts that were read, for every encoder; `undefined` texts are zeros. */
export interface XLPrompt {
  length: number;
  /** Textual inversions that they were read with. */
  embeddings: readonly TextualInversion[];
  encode(): Promise<{ positive: XLEmbeds; negative?: XLEmbeds }>;
}

/**
 * Reads and encodes prompts as diffusers' StableDiffusionXLPipeline.encode_prompt does: of each encoder the last hidden
 * state but one (clipSkip leaves out more), without the final layer norm, side by side; the pooled output of the last
 * encoder. As there, clipSkip is for the prompt only, and a negative prompt that is absent is zeros where the model
 * says so.
 */
export async function readXLPrompt(
  { text, unet, forceZerosForEmptyPrompt, models }: XLTextParts,
  options: TextRunOptions,
  note: (message: string) => void,
): Promise<XLPrompt> {
  const { prompts, negativePrompts, promptCount, numImages, clipSkip, guided, signal } = options;
  const last = (text.at(-1) as XLParts['text'][number]).encoder;
  const repeat = async ({ states, pooled }: XLEmbeds, rows: number, times: number): Promise<XLEmbeds> => ({
    states: await inSlices(repeatRows(states, rows, times), signal),
    pooled: await inSlices(repeatRows(pooled, rows, times), signal),
  });
  const spread = (embeds: XLEmbeds) => repeat(embeds, promptCount, numImages);
  const zeros = (length: number): XLEmbeds => ({
    states: new Float32Array(promptCount * length * unet.contextWidth),
    pooled: new Float32Array(promptCount * last.pooledWidth),
  });

  if (!prompts) {
    const sizes = { prompts: promptCount, width: unet.contextWidth, pooledWidth: last.pooledWidth };
    const embeds = await givenEmbeds(options, sizes, guided, signal);
    const { length, positive, negative } = embeds;
    const absent = guided && !negative ? zeros(length) : undefined;
    const other = negative ?? absent;
    return {
      length,
      embeddings: [],
      encode: async () => ({
        positive: await spread(positive),
        ...(other && { negative: await spread(other) }),
      }),
    };
  }

  // The last branch reads the second prompt; the refiner has that branch alone, but one prompt.
  const second = (name: 'prompt2' | 'negativePrompt2', first: readonly string[], index: number) =>
    (index === 1 ? textList(name, options[name], first.length) : undefined) ?? first;
  const zeroNegative = guided && !negativePrompts && forceZerosForEmptyPrompt;
  const negativeTexts = guided && !zeroNegative ? (negativePrompts ?? ['']) : undefined;
  const branches: BranchTokens[] = [];
  // All at once: embeddings may come and go while texts are read.
  const readers = text.map((branch, index) => models.embeddings.readerOf(branch, index));
  for (const [index, reader] of readers.entries()) {
    const { tokenizer } = reader;
    const read = (name: string, texts: readonly string[]) => readTexts(tokenizer, name, texts, options, note);
    branches.push({
      ...reader,
      positive: await read('prompt', second('prompt2', prompts, index)),
      negative:
        negativeTexts && (await read('negativePrompt', second('negativePrompt2', negativeTexts, index))),
    });
  }
  const all = branches.flatMap(({ positive, negative }) => [...positive, ...(negative ?? [])]);
  const count = Math.max(...all.map((blocks) => blocks.length));
  for (const { tokenizer, positive, negative } of branches) {
    fillBlocks(tokenizer, positive, count);
    if (negative) fillBlocks(tokenizer, negative, count);
  }
  const length = count * (text[0] as XLParts['text'][number]).tokenizer.modelMaxLength;
  const encode = async (half: 'positive' | 'negative', skip: number): Promise<XLEmbeds> => {
    const outputs = [];
    for (const branch of branches) {
      const hidden = branch.encoder.layers - 1 - skip;
      outputs.push(await encodeBlocks(branch, branch[half] as TokenBlock[][], { hidden, signal }));
    }
    const rows = half === 'positive' ? prompts.length : (negativeTexts as readonly string[]).length;
    const all = sideBySide(
      outputs.map(({ states }) => states),
      rows * length,
    );
    const states = await inSlices(all, signal);
    const pooled = outputs.at(-1)?.pooled as Float32Array;
    // One text for all is encoded once.
    return repeat({ states, pooled }, 1, promptCount / rows);
  };
  return {
    length,
    embeddings: readers[0]?.inversions ?? [],
    encode() {
      const both = async () => {
        const positive = await spread(await encode('positive', clipSkip));
        if (!guided) return { positive };
        const negative = zeroNegative ? zeros(length) : await encode('negative', 0);
        return { positive, negative: await spread(negative) };
      };
      // Encoders whose weights are not kept are loaded once for both.
      return branches.reduceRight(
        (work, { encoder }) =>
          () =>
            encoder.use(work, signal),
        both,
      )();
    },
  };
}

async function givenEmbeds(
  given: XLPromptOptions,
  { prompts, width, pooledWidth }: { prompts: number; width: number; pooledWidth: number },
  guided: boolean,
  signal: AbortSignal | undefined,
): Promise<{ length: number; positive: XLEmbeds; negative?: XLEmbeds }> {
  const { promptEmbeds, pooledPromptEmbeds, negativePromptEmbeds, negativePooledPromptEmbeds } = given;
  const check = (name: string, tensor: Tensor, shape: (number | null)[]) =>
    checkTensor(name, tensor, shape, signal);
  const states = await check('promptEmbeds', promptEmbeds as Tensor, [prompts, null, width]);
  if (!pooledPromptEmbeds) throw invalidArgument('pooledPromptEmbeds', 'must be given with promptEmbeds');
  const pooled = await check('pooledPromptEmbeds', pooledPromptEmbeds, [prompts, pooledWidth]);
  const length = states.shape[1] as number;
  const positive = { states: states.data, pooled: pooled.data };
  if (!guided || !negativePromptEmbeds) return { length, positive };
  if (!negativePooledPromptEmbeds) {
    throw invalidArgument('negativePooledPromptEmbeds', 'must be given with negativePromptEmbeds');
  }
  const others = await check('negativePromptEmbeds', negativePromptEmbeds, [prompts, length, width]);
  const shape = [prompts, pooledWidth];
  const pool = await check('negativePooledPromptEmbeds', negativePooledPromptEmbeds, shape);
  return { length, positive, negative: { states: others.data, pooled: pool.data } };
}

/** Rows of several tensors, joined: [rows, a] and [rows, b] -> [rows, a + b]. */
function* sideBySide(tensors: readonly Float32Array[], rows: number): Sliced<Float32Array> {
  if (tensors.length === 1) return tensors[0] as Float32Array;
  const widths = tensors.map(({ length }) => length / rows);
  const width = widths.reduce((sum, own) => sum + own, 0);
  const out = newFloats(rows * width);
  for (const [i, data] of tensors.entries()) {
    const own = widths[i] as number;
    const start = widths.slice(0, i).reduce((sum, other) => sum + other, 0);
    for (let row = 0; row < rows; row++) {
      out.set(data.subarray(row * own, (row + 1) * own), row * width + start);
      if (row % 32 === 31) yield;
    }
  }
  return out;
}
