/**
 * Byte-level byte pair encoding as CLIP uses it (Radford et al. 2021, after GPT-2's): a word is turned into
 * bytes, each byte into one printable character, and neighbours are joined in the order of the merges.
 */
export class BytePairEncoder {
  readonly #ranks: ReadonlyMap<string, number>;
  readonly #cache = new Map<string, readonly string[]>();

  /** @param merges pairs `left right`, the most important first. */
  constructor(merges: readonly string[]) {
    this.#ranks = new Map(merges.map((pair, rank) => [pair, rank]));
  }

  /** The pieces of one word; the last one carries the end-of-word mark `</w>`. */
  encode(word: string): readonly string[] {
    const known = this.#cache.get(word);
    if (known) return known;
    const pieces = this.#merge([...BytePairEncoder.charactersOf(word)]);
    // Prompts repeat their words, but a server that sees all words of the world must not keep them.
    if (this.#cache.size >= 10_000) this.#cache.clear();
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

  #merge(characters: string[]): string[] {
    let pieces = [...characters.slice(0, -1), `${characters.at(-1)}</w>`];
    for (;;) {
      const best = this.#bestPair(pieces);
      if (!best) return pieces;
      const merged: string[] = [];
      for (let i = 0; i < pieces.length; i++) {
        if (pieces[i] === best.left && pieces[i + 1] === best.right) {
          merged.push(best.left + best.right);
          i++;
        } else {
          merged.push(pieces[i] as string);
        }
      }
      pieces = merged;
    }
  }

  #bestPair(pieces: readonly string[]): { left: string; right: string } | undefined {
    let best: { left: string; right: string } | undefined;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let i = 0; i + 1 < pieces.length; i++) {
      const [left, right] = [pieces[i] as string, pieces[i + 1] as string];
      const rank = this.#ranks.get(`${left} ${right}`);
      if (rank !== undefined && rank < bestRank) {
        best = { left, right };
        bestRank = rank;
      }
    }
    return best;
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
