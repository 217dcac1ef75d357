/** Numbers that look random and are the same everywhere (Knuth's LCG, upper bits). */
export class Random {
  #state: bigint;

  constructor(seed: number) {
    this.#state = BigInt(seed);
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    this.#state = (this.#state * 6364136223846793005n + 1442695040888963407n) & 0xffff_ffff_ffff_ffffn;
    return Number(this.#state >> 33n) % limit;
  }

  /** One of a list. */
  of<T>(list: ArrayLike<T>): T {
    return list[this.below(list.length)] as T;
  }

  /** A text of pieces of a list. */
  text(pieces: ArrayLike<string>, length: number): string {
    return Array.from({ length }, () => this.of(pieces)).join('');
  }
}
