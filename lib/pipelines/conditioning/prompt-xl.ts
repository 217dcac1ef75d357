import { invalidArgument } from '../../errors.js';
import { checkTensor, textList } from '../../options/checks.js';
import type { OptionsOf } from '../../options/spec/index.js';
import type { TokenBlock } from '../../prompts/blocks.js';
import { concat, repeatRows, type Tensor } from '../../tensor.js';
import type { ResolvedOptions } from '../inputs/options.js';
import type { TextBranch, XLComponents } from '../loading/xl-parts.js';
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

/** States [images, length, width] and pooled embedding [images, pooled] of one half of the guidance. */
export interface XLEmbeds {
  states: Float32Array;
  pooled: Float32Array;
}

/** A text encoder and the tokens that it reads. */
interface BranchTokens extends TextBranch {
  positive: TokenBlock[][];
  negative: TokenBlock[][] | undefined;
}

/** Prompts that were read, for every encoder; `undefined` texts are zeros. */
export interface XLPrompt {
  length: number;
  encode(): Promise<{ positive: XLEmbeds; negative?: XLEmbeds }>;
}

/**
 * Reads and encodes prompts as diffusers' StableDiffusionXLPipeline.encode_prompt does: of each encoder the last hidden
 * state but one (clipSkip leaves out more), without the final layer norm, side by side; the pooled output of the last
 * encoder. As there, clipSkip is for the prompt only, and a negative prompt that is absent is zeros where the model
 * says so.
 */
export async function readXLPrompt(
  { text, unet, forceZerosForEmptyPrompt }: Pick<XLComponents, 'text' | 'unet' | 'forceZerosForEmptyPrompt'>,
  options: ResolvedOptions,
  given: XLPromptOptions,
  guided: boolean,
  note: (message: string) => void,
): Promise<XLPrompt> {
  const { prompts, negativePrompts, promptCount, numImages, clipSkip, signal } = options;
  const last = (text.at(-1) as TextBranch).encoder;
  const spread = ({ states, pooled }: XLEmbeds): XLEmbeds => ({
    states: repeatRows(states, promptCount, numImages),
    pooled: repeatRows(pooled, promptCount, numImages),
  });
  const zeros = (length: number): XLEmbeds => ({
    states: new Float32Array(promptCount * length * unet.contextWidth),
    pooled: new Float32Array(promptCount * last.pooledWidth),
  });

  if (!prompts) {
    const embeds = givenEmbeds(given, promptCount, unet.contextWidth, last.pooledWidth, guided);
    const { length, positive, negative } = embeds;
    const absent = guided && !negative ? zeros(length) : undefined;
    const other = negative ?? absent;
    return {
      length,
      encode: async () => ({ positive: spread(positive), ...(other && { negative: spread(other) }) }),
    };
  }

  // The last branch reads the second prompt; the refiner has that branch alone, but one prompt.
  const second = (name: 'prompt2' | 'negativePrompt2', first: readonly string[], index: number) =>
    (index === 1 ? textList(name, given[name], first.length) : undefined) ?? first;
  const zeroNegative = guided && !negativePrompts && forceZerosForEmptyPrompt;
  const negativeTexts = guided && !zeroNegative ? (negativePrompts ?? ['']) : undefined;
  const branches: BranchTokens[] = [];
  for (const [index, { tokenizer, encoder }] of text.entries()) {
    const read = (name: string, texts: readonly string[]) => readTexts(tokenizer, name, texts, options, note);
    branches.push({
      tokenizer,
      encoder,
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
  const length = count * (text[0] as TextBranch).tokenizer.modelMaxLength;
  const encode = async (half: 'positive' | 'negative', skip: number): Promise<XLEmbeds> => {
    const outputs = [];
    for (const branch of branches) {
      const hidden = branch.encoder.layers - 1 - skip;
      outputs.push(await encodeBlocks(branch.encoder, branch[half] as TokenBlock[][], { hidden, signal }));
    }
    const rows = half === 'positive' ? prompts.length : (negativeTexts as readonly string[]).length;
    const states = sideBySide(
      outputs.map(({ states }) => states),
      rows * length,
    );
    const pooled = outputs.at(-1)?.pooled as Float32Array;
    // One text for all is encoded once.
    const times = promptCount / rows;
    return { states: repeatRows(states, 1, times), pooled: repeatRows(pooled, 1, times) };
  };
  return {
    length,
    encode() {
      const both = async () => {
        const positive = spread(await encode('positive', clipSkip));
        if (!guided) return { positive };
        return { positive, negative: spread(zeroNegative ? zeros(length) : await encode('negative', 0)) };
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

function givenEmbeds(
  given: XLPromptOptions,
  prompts: number,
  width: number,
  pooledWidth: number,
  guided: boolean,
): { length: number; positive: XLEmbeds; negative?: XLEmbeds } {
  const { promptEmbeds, pooledPromptEmbeds, negativePromptEmbeds, negativePooledPromptEmbeds } = given;
  const states = checkTensor('promptEmbeds', promptEmbeds as Tensor, [prompts, null, width]);
  if (!pooledPromptEmbeds) throw invalidArgument('pooledPromptEmbeds', 'must be given with promptEmbeds');
  const pooled = checkTensor('pooledPromptEmbeds', pooledPromptEmbeds, [prompts, pooledWidth]);
  const length = states.shape[1] as number;
  const positive = { states: states.data, pooled: pooled.data };
  if (!guided || !negativePromptEmbeds) return { length, positive };
  if (!negativePooledPromptEmbeds) {
    throw invalidArgument('negativePooledPromptEmbeds', 'must be given with negativePromptEmbeds');
  }
  const negative = {
    states: checkTensor('negativePromptEmbeds', negativePromptEmbeds, [prompts, length, width]).data,
    pooled: checkTensor('negativePooledPromptEmbeds', negativePooledPromptEmbeds, [prompts, pooledWidth])
      .data,
  };
  return { length, positive, negative };
}

/** Rows of several tensors, joined: [rows, a] and [rows, b] -> [rows, a + b]. */
function sideBySide(tensors: readonly Float32Array[], rows: number): Float32Array {
  const parts = (row: number) =>
    tensors.map((data) => data.subarray((row * data.length) / rows, ((row + 1) * data.length) / rows));
  return tensors.length === 1
    ? (tensors[0] as Float32Array)
    : concat(Array.from({ length: rows }, (_, row) => parts(row)).flat());
}
