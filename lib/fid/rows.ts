import type { Image } from '../images/image.js';
import type { FeatureSet } from './feature-set.js';
import type { Fid } from './fid.js';

/** What a measurement needs of a {@link Fid}. */
export type FidMeasure = Pick<Fid, 'features' | 'distance' | 'newSet' | 'notes' | 'network'>;

/** Pictures of several settings, and how far each is from the reference. */
export class FidRows {
  readonly #sets: FeatureSet[] = [];

  constructor(private readonly fid: FidMeasure) {}

  /** Adds pictures of setting `row`; their features. */
  async add(row: number, pictures: readonly Image[], signal?: AbortSignal): Promise<Float32Array> {
    const features = await this.fid.features(pictures, signal);
    await this.addFeatures(row, features, signal);
    return features;
  }

  async addFeatures(row: number, features: Float32Array, signal?: AbortSignal): Promise<void> {
    this.#sets[row] ??= this.fid.newSet();
    await this.#sets[row].add(features, signal);
  }

  /** The same rows with their distance, and what is to be known about it; as they are where a picture is too few. */
  async measured<Row extends { notes: readonly string[] }>(
    rows: readonly Row[],
    signal?: AbortSignal,
  ): Promise<(Row & { fid?: number })[]> {
    const out: (Row & { fid?: number })[] = [];
    for (const [i, row] of rows.entries()) {
      const set = this.#sets[i];
      if (!set || set.count < 2) out.push(row);
      else {
        const fid = await this.fid.distance(set, signal);
        out.push({ ...row, fid, notes: [...row.notes, ...(i === 0 ? this.fid.notes(set.count) : [])] });
      }
    }
    return out;
  }
}
