const BITS = 12;
const SIZE = 2 ** BITS;

/** What holds the numbers: whole ones need half as much. */
type Kind = Int32ArrayConstructor | Float64ArrayConstructor;

/**
 * A list of numbers that grows by blocks outside of JavaScript's heap: a million of them are neither copied again and
 * again nor looked through by the garbage collector.
 */
export class NumberList {
  readonly #blocks: InstanceType<Kind>[] = [];
  #length = 0;

  constructor(private readonly kind: Kind) {}

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#blocks.length * SIZE) this.#blocks.push(new this.kind(SIZE));
    this.set(this.#length++, value);
  }

  /** The number at a place below the length. */
  at(i: number): number {
    return (this.#blocks[i >>> BITS] as InstanceType<Kind>)[i & (SIZE - 1)] as number;
  }

  set(i: number, value: number): void {
    (this.#blocks[i >>> BITS] as InstanceType<Kind>)[i & (SIZE - 1)] = value;
  }
}
