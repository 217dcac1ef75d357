import { native } from '../native/binding.js';
import type { NativeGenerator, NoiseDraws } from '../native/types.js';
import { concat } from '../tensor.js';

/**
 * The random numbers of a run, in diffusers' order: one generator draws for the whole batch at once, several draw one
 * image each.
 */
export class NoiseSource {
  readonly #generators: NativeGenerator[];

  /** @param seeds one for the batch, or one for each image. */
  constructor(
    readonly seeds: readonly bigint[],
    private readonly batch: number,
  ) {
    this.#generators = seeds.map((seed) => new (native().Generator)(seed));
  }

  /** Normal numbers [batch, ...] with `count` values per image. */
  draw(count: number): Float32Array {
    return this.drawRows(this.batch, count);
  }

  /** The same for `rows` images; several generators always draw for the whole batch. */
  drawRows(rows: number, count: number): Float32Array {
    if (this.#generators.length === 1) {
      return (this.#generators[0] as NativeGenerator).randn(rows * count) as Float32Array;
    }
    return concat(this.#generators.map((generator) => generator.randn(count) as Float32Array));
  }

  /**
   * The draws that follow, for a run to make one by one when its rows need them; undefined when none is used. Those in
   * between that nobody uses are made too. The run has the generators as they are now: nothing is drawn here afterwards.
   */
  following(used: readonly boolean[]): NoiseDraws | undefined {
    return used.includes(true) ? { generators: this.#generators, used } : undefined;
  }
}
