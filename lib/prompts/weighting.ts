import { invalidArgument } from '../errors.js';
import { forEachIndex, inOneGo, type Sliced } from '../slices.js';
import { NumberList } from './number-list.js';

/** A part of a prompt, and how strongly it counts: 1 is as it is without brackets. */
export interface WeightedText {
  text: string;
  weight: number;
}

/** What a pair of brackets without a number multiplies or divides by. */
const STEP = 1.1;

/** Far beyond what makes pictures; products of nested weights must stay numbers. */
const LARGEST = 100;

/** The weight at the end of a bracket. */
const NUMBER = /:\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*\)/y;

/** Characters of a text between two pauses. */
const STRETCH = 2 ** 12;

/** Pieces or brackets that are looked at between two pauses. */
const MOST_LOOKED = 2 ** 12;

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
  return [...inOneGo(weightSlices(text, name))].filter((part) => part !== undefined);
}

/**
 * The same in parts, for texts of a megabyte; what it returns is made as it is asked for, and undefined now and then, to
 * pause at.
 */
export function* weightSlices(text: string, name: string): Sliced<Iterable<WeightedText | undefined>> {
  // Numbers and characters, not matches: a million small objects would keep the garbage collector busy.
  const pieces = { starts: new NumberList(Int32Array), ends: new NumberList(Int32Array) };
  // Round and square brackets know nothing of each other.
  const [round, square] = [new Brackets(STEP), new Brackets(1 / STEP)];
  const add = (start: number, end: number) => {
    const last = pieces.ends.length - 1;
    if (last >= 0 && pieces.ends.at(last) === start && round.isAround(last) && square.isAround(last)) {
      pieces.ends.set(last, end);
      return;
    }
    pieces.starts.push(start);
    pieces.ends.push(end);
    round.enter();
    square.enter();
  };
  let pause = STRETCH;
  for (let i = 0; i < text.length; ) {
    const start = i++;
    const first = text[start] as string;
    if (first === '(') round.open();
    else if (first === '[') square.open();
    else if (first === ')' && round.isOpen) round.close();
    else if (first === ']' && square.isOpen) square.close();
    else if (first === '\\') {
      // Without a character that it stands before it is nothing.
      if (isSpecial(text.charCodeAt(i)) && text[i] !== ':') i++;
      add(start + 1, i);
    } else if (first === ':') {
      NUMBER.lastIndex = start;
      const number = NUMBER.exec(text)?.[1];
      if (number !== undefined) i = NUMBER.lastIndex;
      if (number !== undefined && round.isOpen) round.close(Number(number));
      else add(start, i);
    } else if (isSpecial(first.charCodeAt(0))) {
      add(start, i);
    } else {
      for (; i < text.length && !isSpecial(text.charCodeAt(i)); i++) {
        if (i < pause) continue;
        yield;
        pause = i + STRETCH;
      }
      add(start, i);
    }
    if (i < pause) continue;
    yield;
    pause = i + STRETCH;
  }
  yield* round.settle();
  yield* square.settle();
  const weightOf = (i: number) => round.weightOf(i) * square.weightOf(i);
  const check = (i: number) => {
    const weight = weightOf(i);
    // Written so that NaN fails.
    if (Math.abs(weight) <= LARGEST) return;
    throw invalidArgument(name, `has the weight ${weight}; weights go from -${LARGEST} to ${LARGEST}`);
  };
  yield* forEachIndex(pieces.starts.length, check, MOST_LOOKED);
  return joined(text, pieces, weightOf);
}

/** Whether it is one of \\ ( ) [ ] and the colon. */
function isSpecial(code: number): boolean {
  return code === 40 || code === 41 || (code >= 91 && code <= 93) || code === 58;
}

/** Brackets of a kind, and which of them pieces of text are in. One that is never closed counts to the end. */
class Brackets {
  /** Of each bracket in the order of the text: its factor, then that of all around it too. */
  readonly #factors = new NumberList(Float64Array);
  readonly #outer = new NumberList(Int32Array);
  /** Of each piece of text: the innermost bracket, or -1. */
  readonly #innermost = new NumberList(Int32Array);
  #current = -1;

  constructor(private readonly factor: number) {}

  get isOpen(): boolean {
    return this.#current >= 0;
  }

  open(): void {
    this.#outer.push(this.#current);
    this.#current = this.#factors.length;
    this.#factors.push(this.factor);
  }

  close(factor = this.factor): void {
    this.#factors.set(this.#current, factor);
    this.#current = this.#outer.at(this.#current);
  }

  /** The next piece of text is here. */
  enter(): void {
    this.#innermost.push(this.#current);
  }

  /** Whether an earlier piece of text is in the bracket that is open now. */
  isAround(piece: number): boolean {
    return this.#innermost.at(piece) === this.#current;
  }

  /** To be called once, when all is read. */
  settle(): Sliced<void> {
    // Outer ones come first.
    const multiply = (i: number) => {
      const outer = this.#outer.at(i);
      if (outer >= 0) this.#factors.set(i, this.#factors.at(i) * this.#factors.at(outer));
    };
    return forEachIndex(this.#factors.length, multiply, MOST_LOOKED);
  }

  weightOf(piece: number): number {
    const bracket = this.#innermost.at(piece);
    return bracket < 0 ? 1 : this.#factors.at(bracket);
  }
}

/** Pieces that are joined at most, where none of them follows the one before in the text. */
const MOST_JOINED = 2 ** 14;

function* joined(
  text: string,
  { starts, ends }: { starts: NumberList; ends: NumberList },
  weightOf: (i: number) => number,
): Iterable<WeightedText | undefined> {
  let looked = 0;
  for (let i = 0; i < starts.length; ) {
    const weight = weightOf(i);
    const parts: string[] = [];
    while (i < starts.length && parts.length < MOST_JOINED && weightOf(i) === weight) {
      const start = starts.at(i);
      // Neighbours in the text are one piece.
      while (i + 1 < starts.length && starts.at(i + 1) === ends.at(i) && weightOf(i + 1) === weight) {
        i++;
        if (++looked % MOST_LOOKED === 0) yield undefined;
      }
      parts.push(text.slice(start, ends.at(i++)));
      if (++looked % MOST_LOOKED === 0) yield undefined;
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
