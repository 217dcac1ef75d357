import { invalidArgument } from '../errors.js';

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
  const parts: WeightedText[] = [];
  const open = { round: [] as number[], square: [] as number[] };
  const multiply = (first: number, factor: number) => {
    for (const part of parts.slice(first)) part.weight *= factor;
  };
  const close = (starts: number[], factor: number) => multiply(starts.pop() as number, factor);
  for (const [piece, number] of text.matchAll(PARTS)) {
    if (piece === '(') open.round.push(parts.length);
    else if (piece === '[') open.square.push(parts.length);
    else if (number !== undefined && open.round.length > 0) close(open.round, Number(number));
    else if (piece === ')' && open.round.length > 0) close(open.round, STEP);
    else if (piece === ']' && open.square.length > 0) close(open.square, 1 / STEP);
    else parts.push({ text: piece.startsWith('\\') ? piece.slice(1) : piece, weight: 1 });
  }
  for (const first of open.round) multiply(first, STEP);
  for (const first of open.square) multiply(first, 1 / STEP);
  for (const { weight } of parts) {
    if (Math.abs(weight) <= LARGEST) continue;
    throw invalidArgument(name, `has the weight ${weight}; weights go from -${LARGEST} to ${LARGEST}`);
  }
  return joined(parts);
}

function joined(parts: readonly WeightedText[]): WeightedText[] {
  const out: WeightedText[] = [];
  for (const part of parts) {
    const last = out.at(-1);
    if (last?.weight === part.weight) last.text += part.text;
    else out.push({ ...part });
  }
  return out;
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
