/**
 * Byte-level byte pair encoding as CLIP uses it (Radford et al. 2021, after GPT-2's): a word is turned into
 * bytes, each byte into one printable character, and neighbours are joined in the order of the merges.
 */
export class BytePairEncoder {
  readonly #cache = new Map<string, readonly string[]>();

  /** @param ranks of pairs `left right`, 0 for the most important. */
  constructor(private readonly ranks: ReadonlyMap<string, number>) {}

  /** The pieces of one word; the last one carries the end-of-word mark `</w>`. */
  encode(word: string): readonly string[] {
    const known = this.#cache.get(word);
    if (known) return known;
    const pieces = this.#merge([...BytePairEncoder.charactersOf(word)]);
    if (word.length > LONGEST_KEPT) return pieces;
    // Prompts repeat their words, but a server that sees all words of the world must not keep them.
    if (this.#cache.size >= MOST_KEPT) this.#cache.clear();
    this.#cache.set(word, pieces);
    return pieces;
  }

  /** A text's bytes as printable characters. */
  static charactersOf(text: string): string {
    return Array.from(Buffer.from(text, 'utf8'), (byte) => BYTE_CHARACTERS[byte]).join('');
  }

  /** Turns the characters of pieces back into text; `</w>` stays. */
  static decode(characters: string): string {
    return Buffer.from(Array.from(characters, (character) => BYTE_OF.get(character) ?? 0x20)).toString(
      'utf8',
    );
  }

  /**
   * Joins the pair of the best merge wherever it is, from left to right, then the next best. The places of all pairs
   * wait in a queue: to look through the word again for each merge takes time with the square of its length.
   */
  #merge(characters: string[]): string[] {
    const pieces = [...characters.slice(0, -1), `${characters.at(-1)}</w>`];
    const count = pieces.length;
    // Neighbours of each piece that is left, and the rank of the pair that begins with it.
    const next = Int32Array.from(pieces, (_, i) => i + 1);
    const previous = Int32Array.from(pieces, (_, i) => i - 1);
    const ranks = new Int32Array(count).fill(NONE);
    const queue = new Queue();
    const enter = (i: number) => {
      const right = next[i] as number;
      const rank = right < count ? this.ranks.get(`${pieces[i]} ${pieces[right]}`) : undefined;
      ranks[i] = rank ?? NONE;
      // By their ranks, then their places.
      if (rank !== undefined) queue.add(rank * count + i);
    };
    for (let i = 0; i < count; i++) enter(i);
    while (queue.size > 0) {
      const rank = Math.floor(queue.first / count);
      const places: number[] = [];
      // All of one merge, before any that it makes possible.
      while (queue.size > 0 && Math.floor(queue.first / count) === rank) places.push(queue.take() % count);
      for (const i of places) {
        if (ranks[i] !== rank) continue;
        const right = next[i] as number;
        pieces[i] += pieces[right] as string;
        ranks[right] = NONE;
        const after = next[right] as number;
        next[i] = after;
        if (after < count) previous[after] = i;
        enter(i);
        const before = previous[i] as number;
        if (before >= 0) enter(before);
      }
    }
    const merged: string[] = [];
    for (let i = 0; i < count; i = next[i] as number) merged.push(pieces[i] as string);
    return merged;
  }
}

/** Words that are remembered, and the characters of the longest. */
const MOST_KEPT = 10_000;
const LONGEST_KEPT = 64;

const NONE = -1;

/** Numbers, of which the smallest comes first: a binary heap. */
class Queue {
  readonly #heap: number[] = [];

  get size(): number {
    return this.#heap.length;
  }

  get first(): number {
    return this.#heap[0] as number;
  }

  add(value: number): void {
    const heap = this.#heap;
    let i = heap.length;
    for (; i > 0; ) {
      const parent = (i - 1) >> 1;
      if ((heap[parent] as number) <= value) break;
      heap[i] = heap[parent] as number;
      i = parent;
    }
    heap[i] = value;
  }

  take(): number {
    const heap = this.#heap;
    const first = heap[0] as number;
    const last = heap.pop() as number;
    let i = 0;
    for (let child = 1; child < heap.length; child = 2 * i + 1) {
      if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child++;
      if ((heap[child] as number) >= last) break;
      heap[i] = heap[child] as number;
      i = child;
    }
    if (heap.length > 0) heap[i] = last;
    return first;
  }
}

/** Printable Latin-1 bytes stand for themselves, the 68 others for U+0100 and up, in order. */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
})();

const BYTE_OF: ReadonlyMap<string, number> = new Map(
  BYTE_CHARACTERS.map((character, byte) => [character, byte]),
);
