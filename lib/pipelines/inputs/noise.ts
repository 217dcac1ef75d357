import { native } from '../../native/binding.js';
import { finish } from '../../native/device.js';
import type { NativeGenerator, NoiseDraws } from '../../native/types.js';
import { inSlices, type Sliced } from '../../slices.js';
import { joined } from '../../tensor.js';
import { shuffleContext, type VideoNoise } from './free-noise.js';

/** More are drawn on a thread, for a value takes some ten nanoseconds. */
const FEW = 2 ** 14;

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
  draw(count: number, signal?: AbortSignal): Promise<Float32Array> {
    return this.drawRows(this.batch, count, signal);
  }

  /** The same for `rows` images; several generators always draw for the whole batch. */
  async drawRows(rows: number, count: number, signal?: AbortSignal): Promise<Float32Array> {
    const [first, ...others] = this.#generators as [NativeGenerator, ...NativeGenerator[]];
    if (others.length === 0) return randn(first, rows * count, signal);
    const blocks: Float32Array[] = [];
    for (const generator of this.#generators) blocks.push(await randn(generator, count, signal));
    return inSlices(joined(blocks), signal);
  }

  /** Shuffles a video's noise, see {@link shuffleContext}. */
  shuffled(
    values: Float32Array,
    shape: VideoNoise,
    windows: { readonly length: number; readonly stride: number },
  ): Sliced<void> {
    return shuffleContext(values, shape, windows, this.#generators);
  }

  /**
   * The draws that follow, for a run to make one by one when its rows need them; undefined when none is used. Those in
   * between that nobody uses are made too. The run has the generators as they are now: nothing is drawn here afterwards.
   */
  following(used: readonly boolean[]): NoiseDraws | Float32Array | undefined {
    return used.includes(true) ? { generators: this.#generators, used } : undefined;
  }
}

/** `count` normal numbers of a generator; many are drawn on a thread. */
export async function randn(
  generator: NativeGenerator,
  count: number,
  signal?: AbortSignal,
): Promise<Float32Array> {
  if (count <= FEW) return generator.randn(count) as Float32Array;
  return finish(() => generator.draw(count), signal);
}
