import { invalidArgument } from '../errors.js';
import { forEachIndex, inOneGo, type Sliced } from '../slices.js';

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
  return [...inOneGo(weightSlices(text, name))];
}

/** The same in parts, for texts of a megabyte; what it returns is made as it is asked for. */
export function* weightSlices(text: string, name: string): Sliced<Iterable<WeightedText>> {
  // Lists of numbers: a million small objects would keep the garbage collector busy.
  const pieces = { starts: [] as number[], ends: [] as number[] };
  // Round and square brackets know nothing of each other.
  const [round, square] = [new Brackets(STEP), new Brackets(1 / STEP)];
  let count = 0;
  for (const { 0: piece, 1: number, index } of text.matchAll(PARTS)) {
    if (piece === '(') round.open();
    else if (piece === '[') square.open();
    else if (round.isOpen && number !== undefined) round.close(Number(number));
    else if (round.isOpen && piece === ')') round.close();
    else if (square.isOpen && piece === ']') square.close();
    else {
      pieces.starts.push(piece.startsWith('\\') ? index + 1 : index);
      pieces.ends.push(index + piece.length);
      round.enter();
      square.enter();
    }
    if (++count % 512 === 0) yield;
  }
  yield* round.settle();
  yield* square.settle();
  const weightOf = (i: number) => round.weightOf(i) * square.weightOf(i);
  yield* forEachIndex(pieces.starts.length, (i) => {
    const weight = weightOf(i);
    // Written so that NaN fails.
    if (Math.abs(weight) <= LARGEST) return;
    throw invalidArgument(name, `has the weight ${weight}; weights go from -${LARGEST} to ${LARGEST}`);
  });
  return joined(text, pieces, weightOf);
}

/** Brackets of a kind, and which of them pieces of text are in. One that is never closed counts to the end. */
class Brackets {
  /** Of each bracket in the order of the text: its factor, then that of all around it too. */
  readonly #factors: number[] = [];
  readonly #outer: number[] = [];
  /** Of each piece of text: the innermost bracket, or -1. */
  readonly #innermost: number[] = [];
  #current = -1;

  constructor(private readonly factor: number) {}

  get isOpen(): boolean {
    return this.#current >= 0;
  }

  open(): void {
    this.#outer.push(this.#current);
    this.#current = this.#factors.push(this.factor) - 1;
  }

  close(factor = this.factor): void {
    this.#factors[this.#current] = factor;
    this.#current = this.#outer[this.#current] as number;
  }

  /** The next piece of text is here. */
  enter(): void {
    this.#innermost.push(this.#current);
  }

  /** To be called once, when all is read. */
  settle(): Sliced<void> {
    // Outer ones come first.
    return forEachIndex(this.#factors.length, (i) => {
      const outer = this.#outer[i] as number;
      if (outer >= 0) this.#factors[i] = (this.#factors[i] as number) * (this.#factors[outer] as number);
    });
  }

  weightOf(piece: number): number {
    const bracket = this.#innermost[piece] as number;
    return bracket < 0 ? 1 : (this.#factors[bracket] as number);
  }
}

/** Pieces that are joined at most, where none of them follows the one before in the text. */
const MOST_JOINED = 2 ** 14;

function* joined(
  text: string,
  { starts, ends }: { starts: readonly number[]; ends: readonly number[] },
  weightOf: (i: number) => number,
): Iterable<WeightedText> {
  for (let i = 0; i < starts.length; ) {
    const weight = weightOf(i);
    const parts: string[] = [];
    while (i < starts.length && parts.length < MOST_JOINED && weightOf(i) === weight) {
      const start = starts[i];
      // Neighbours in the text are one piece.
      while (starts[i + 1] === ends[i] && weightOf(i + 1) === weight) i++;
      parts.push(text.slice(start, ends[i++]));
    }
    yield { text: parts.join(''), weight };
  }
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
