import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { native } from '../native/binding.js';
import type { NativeGenerator } from '../native/types.js';
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
   * Several draws one after the other, of which only the used ones are kept. The event loop gets its turn between
   * them.
   */
  async drawMany(used: readonly boolean[], count: number): Promise<Float32Array> {
    const kept: Float32Array[] = [];
    // Nothing is drawn from the generators after the last draw that is used.
    for (const keep of used.slice(0, used.lastIndexOf(true) + 1)) {
      const noise = this.draw(count);
      if (keep) kept.push(noise);
      await yieldToLoop();
    }
    return concat(kept);
  }
}
