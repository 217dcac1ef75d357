import { invalidArgument } from '../errors.js';
import { inSlices, type Sliced } from '../slices.js';
import type { FeatureStatistics } from './statistics.js';

/** Rows that are added to a covariance together: each of its values is then read and written once for all of them. */
const TOGETHER = 4;
/** Its rows between pauses. */
const ROWS = 8;

/**
 * Features of pictures one after the other, of which mean and covariance are wanted. Those of the first pictures are
 * kept, as they are the smaller thing; where they become as many as features have values, what is kept is the covariance:
 * 50 MB at most for 2048 values, however many pictures there are.
 */
export class FeatureSet {
  #pending: Float32Array[] = [];
  /** Of those that are no longer kept. */
  #folded = 0;
  readonly #mean: Float64Array;
  /** Sums of products of what features are off their mean, the upper triangle. */
  #scatter: Float64Array | undefined;

  constructor(
    /** Values of a picture's features. */
    readonly width: number,
  ) {
    this.#mean = new Float64Array(width);
  }

  /** Pictures so far. */
  get count(): number {
    return this.#folded + this.#pending.length;
  }

  /**
   * Adds pictures. After an abort the set is of no use.
   *
   * @param features [pictures, width]
   */
  async add(features: Float32Array, signal?: AbortSignal): Promise<void> {
    const { width } = this;
    if (features.length % width !== 0)
      throw invalidArgument('features', `must be of ${width} values, got ${features.length}`);
    if (!features.every(Number.isFinite)) throw invalidArgument('features', 'must be finite numbers');
    for (let at = 0; at < features.length; at += width) {
      this.#pending.push(features.slice(at, at + width));
      if (this.#pending.length > width) await inSlices(this.#fold(), signal);
    }
  }

  /**
   * Mean and covariance, the latter by one less than there are pictures, as numpy.cov does.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for fewer than two pictures.
   */
  async statistics(signal?: AbortSignal): Promise<FeatureStatistics> {
    this.#requireTwo();
    const copy = this.#copy();
    await inSlices(copy.#fold(), signal);
    const sigma = copy.#scatter as Float64Array;
    await inSlices(symmetric(sigma, this.width, 1 / (copy.count - 1)), signal);
    return { mu: copy.#mean, sigma };
  }

  /**
   * The same, where it is smaller, as rows F of which the covariance is transposed(F) * F; undefined where it is not.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for fewer than two pictures.
   */
  factor(): { mu: Float64Array; rows: Float64Array } | undefined {
    this.#requireTwo();
    if (this.#folded > 0) return undefined;
    const { width } = this;
    const mu = meanOf(this.#pending, width);
    const rows = new Float64Array(this.#pending.length * width);
    const scale = 1 / Math.sqrt(this.#pending.length - 1);
    for (const [i, row] of this.#pending.entries())
      for (let k = 0; k < width; k++) rows[i * width + k] = scale * ((row[k] as number) - (mu[k] as number));
    return { mu, rows };
  }

  #requireTwo(): void {
    if (this.count < 2)
      throw invalidArgument('features', 'must be of at least two pictures: one has no covariance');
  }

  #copy(): FeatureSet {
    const copy = new FeatureSet(this.width);
    copy.#pending = [...this.#pending];
    copy.#folded = this.#folded;
    copy.#mean.set(this.#mean);
    copy.#scatter = this.#scatter && Float64Array.from(this.#scatter);
    return copy;
  }

  /** Takes what is kept into the covariance (Chan and others 1979: two sets' sums about their own means are joined). */
  *#fold(): Sliced<void> {
    const { width } = this;
    const rows = this.#pending;
    if (rows.length === 0) return;
    const mean = meanOf(rows, width);
    this.#scatter ??= new Float64Array(width * width);
    const total = this.#folded + rows.length;
    // One row more stands for how far the two means are apart.
    const weight = Math.sqrt((this.#folded * rows.length) / total);
    const apart = mean.map((value, k) => weight * (value - (this.#mean[k] as number)));
    const centred = (row: Float32Array) => Float64Array.from(row, (value, k) => value - (mean[k] as number));
    for (let i = 0; i < rows.length; i += TOGETHER)
      yield* addProducts(this.#scatter, rows.slice(i, i + TOGETHER).map(centred), width);
    yield* addProducts(this.#scatter, [apart], width);
    for (let k = 0; k < width; k++) {
      const old = this.#mean[k] as number;
      this.#mean[k] = old + (((mean[k] as number) - old) * rows.length) / total;
    }
    this.#folded = total;
    this.#pending = [];
  }
}

function meanOf(rows: readonly Float32Array[], width: number): Float64Array {
  const mean = new Float64Array(width);
  for (const row of rows) for (let k = 0; k < width; k++) mean[k] = (mean[k] as number) + (row[k] as number);
  return mean.map((sum) => sum / rows.length);
}

/** Of up to {@link TOGETHER} rows, each value with each other, into the upper triangle. */
function* addProducts(scatter: Float64Array, rows: readonly Float64Array[], width: number): Sliced<void> {
  const none = new Float64Array(width);
  const [a = none, b = none, c = none, d = none] = rows;
  for (let i = 0; i < width; i++) {
    const [p, q, r, s] = [a[i] as number, b[i] as number, c[i] as number, d[i] as number];
    const at = i * width;
    for (let j = i; j < width; j++) {
      scatter[at + j] =
        (scatter[at + j] as number) +
        (p * (a[j] as number) + q * (b[j] as number) + (r * (c[j] as number) + s * (d[j] as number)));
    }
    if (i % ROWS === 0) yield;
  }
}

/** The upper triangle times a factor, in both. */
function* symmetric(matrix: Float64Array, width: number, factor: number): Sliced<void> {
  for (let i = 0; i < width; i++) {
    for (let j = i; j < width; j++) {
      const value = factor * (matrix[i * width + j] as number);
      matrix[i * width + j] = value;
      matrix[j * width + i] = value;
    }
    if (i % ROWS === 0) yield;
  }
}
