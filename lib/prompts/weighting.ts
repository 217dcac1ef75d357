import { invalidArgument } from '../errors.js';
import { inOneGo, type Sliced } from '../slices.js';

/** A part of a prompt, and how strongly it counts: 1 is as it is without brackets. */
export interface WeightedText {
  text: string;
  weight: number;
}

/** What a pair of brackets without a number multiplies or divides by. */
const STEP = 1.1;

/** Far beyond what makes pictures; products of nested weights must stay numbers. */
const LARGEST = 100;

const PARTS = /\\[\\()[\]]|\\|[()[\]]|:\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*\)|[^\\()[\]:]+|:/g;

/**
 * Reads the weights that people write into prompts, by the rules of AUTOMATIC1111's web UI (its
 * parse_prompt_attention):
 *
 * - `(words)` counts 1.1 times as much, `[words]` 1.1 times less, `(words:1.3)` 1.3 times as much; nested ones
 *   multiply;
 * - `\(`, `\)`, `\[`, `\]` and `\\` are the characters themselves; any other backslash is dropped;
 * - a bracket that is never closed counts to the end of the text, one that was never opened is text.
 *
 * Neighbours of the same weight come as one part, because a tokenizer may join words over the border.
 *
 * @param name what the text is called in errors.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for weights beyond -100 to 100.
 */
export function parseWeights(text: string, name = 'prompt'): WeightedText[] {
  return inOneGo(weightSlices(text, name));
}

/** The same in parts, for texts of a megabyte. */
export function* weightSlices(text: string, name: string): Sliced<WeightedText[]> {
  const parts: (WeightedText & { round: Bracket | undefined; square: Bracket | undefined })[] = [];
  const brackets: Bracket[] = [];
  // The innermost ones that are open. Round and square ones know nothing of each other.
  let [round, square]: (Bracket | undefined)[] = [];
  const open = (outer: Bracket | undefined, factor: number) => {
    const bracket = { outer, factor, product: 1 };
    brackets.push(bracket);
    return bracket;
  };
  let count = 0;
  for (const [piece, number] of text.matchAll(PARTS)) {
    if (piece === '(') round = open(round, STEP);
    else if (piece === '[') square = open(square, 1 / STEP);
    else if (round && (number !== undefined || piece === ')')) {
      if (number !== undefined) round.factor = Number(number);
      round = round.outer;
    } else if (square && piece === ']') square = square.outer;
    else parts.push({ text: piece.startsWith('\\') ? piece.slice(1) : piece, weight: 1, round, square });
    if (++count % 512 === 0) yield;
  }
  // Outer ones come first.
  for (const [i, bracket] of brackets.entries()) {
    bracket.product = bracket.factor * (bracket.outer?.product ?? 1);
    if (i % 4096 === 0) yield;
  }
  const joined: WeightedText[] = [];
  for (const [i, { text, round, square }] of parts.entries()) {
    const weight = (round?.product ?? 1) * (square?.product ?? 1);
    // Written so that NaN fails.
    if (!(Math.abs(weight) <= LARGEST)) {
      throw invalidArgument(name, `has the weight ${weight}; weights go from -${LARGEST} to ${LARGEST}`);
    }
    const last = joined.at(-1);
    if (last?.weight === weight) last.text += text;
    else joined.push({ text, weight });
    if (i % 1024 === 0) yield;
  }
  return joined;
}

/** A bracket, which changes the weight of what is in it: one that is never closed counts to the end. */
interface Bracket {
  outer: Bracket | undefined;
  factor: number;
  /** Its factor and those of the brackets around it. */
  product: number;
}

/**
 * Multiplies the states of a block's tokens by their weights, then scales the whole block so that its mean is what it
 * was, as the web UI does by default (EmphasisOriginal): prompts that people share were tuned with it. A mean that
 * weights bring to zero cannot be restored and is left.
 *
 * @param states [tokens, width], changed in place.
 */
export function applyWeights(states: Float32Array, weights: readonly number[]): void {
  if (weights.every((weight) => weight === 1)) return;
  const width = states.length / weights.length;
  const sum = () => states.reduce((total, value) => total + value, 0);
  const before = sum();
  for (let i = 0; i < states.length; i++) {
    states[i] = (states[i] as number) * (weights[Math.floor(i / width)] as number);
  }
  const ratio = before / sum();
  if (!Number.isFinite(ratio)) return;
  for (let i = 0; i < states.length; i++) states[i] = (states[i] as number) * ratio;
}
