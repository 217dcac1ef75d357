import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { invalidArgument } from '../errors.js';
import type { Image } from '../images/image.js';
import { FeatureFile } from './feature-file.js';
import { FeatureSet } from './feature-set.js';
import { frechetDistance } from './frechet.js';
import { InceptionV3 } from './inception.js';
import { PictureFolder, type Progress } from './pictures.js';
import type { FeatureStatistics } from './statistics.js';
import { readStatistics } from './statistics-file.js';

/** Pictures that are unpacked at a time. */
const AT_ONCE = 8;

/** How a {@link Fid} is opened. */
export interface FidOptions {
  /** Of the CPU; by default one for each core that the process may use. */
  threads?: number | undefined;
  /** Stops it. */
  signal?: AbortSignal | undefined;
  /** Hears how many reference pictures were looked at. */
  onProgress?: Progress | undefined;
}

/** How the reference's statistics are made. */
export interface PrepareOptions {
  /** A file that keeps the features of the reference pictures: the same call goes on from there. */
  resume?: string | undefined;
  /** Stops it. */
  signal?: AbortSignal | undefined;
  /** Hears how many reference pictures are done. */
  onProgress?: Progress | undefined;
}

/**
 * The Fréchet Inception distance (Heusel and others 2017) to a set of reference pictures, computed as pytorch-fid does.
 * Free it with `dispose` or `using`.
 */
export class Fid {
  #statistics: FeatureStatistics | undefined;

  private constructor(
    /** The folder or file of the reference. */
    readonly place: string,
    /** The file of the network, and its size, for messages and to go on. */
    readonly network: { readonly file: string; readonly bytes: number },
    private readonly inception: InceptionV3,
    private readonly threads: number | undefined,
    private readonly folder: PictureFolder | undefined,
    statistics: FeatureStatistics | undefined,
  ) {
    this.#statistics = statistics;
  }

  /**
   * Loads the network, and looks at the reference: a folder of pictures, or a .npz file of their statistics.
   *
   * @param inception its file, see {@link InceptionV3}.
   * @throws DeepCacheError by the name of whatever file is wrong; the signal's reason.
   */
  static async open(place: string, inception: string, options: FidOptions = {}): Promise<Fid> {
    const { threads, signal, onProgress } = options;
    const network = await InceptionV3.fromPretrained(inception, { threads, signal });
    try {
      const isFile = extname(place).toLowerCase() === '.npz';
      const statistics = isFile ? await readStatistics(place, network.width, { signal }) : undefined;
      const folder = isFile ? undefined : await PictureFolder.open(place, { signal, onProgress });
      const { size: bytes } = await stat(inception);
      return new Fid(place, { file: inception, bytes }, network, threads, folder, statistics);
    } catch (error) {
      network.dispose();
      throw error;
    }
  }

  /** Reference pictures; undefined where only their statistics are known. */
  get referencePictures(): number | undefined {
    return this.folder?.files.length;
  }

  /**
   * The reference's statistics, which are computed in the first call: a few pictures at a time, whatever their number.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_IMAGE naming a file that cannot be unpacked; the signal's reason.
   */
  async prepare({ resume, signal, onProgress }: PrepareOptions = {}): Promise<FeatureStatistics> {
    if (this.#statistics) return this.#statistics;
    const { files, fingerprint } = this.folder as PictureFolder;
    const set = this.newSet();
    const about = { features: 'FID', network: this.network, pictures: files.length, fingerprint };
    await using known =
      resume === undefined ? undefined : await FeatureFile.open(resume, about, this.inception.width);
    await known?.readInto(set, signal);
    while (set.count < files.length) {
      onProgress?.(set.count, files.length);
      signal?.throwIfAborted();
      const pictures = await (this.folder as PictureFolder).read(set.count, AT_ONCE, signal);
      const features = await this.features(pictures, signal);
      await known?.add(features);
      await set.add(features, signal);
    }
    onProgress?.(set.count, files.length);
    this.#statistics = await set.statistics(signal);
    return this.#statistics;
  }

  /** For the features of pictures that are measured. */
  newSet(): FeatureSet {
    return new FeatureSet(this.inception.width);
  }

  /** [pictures, 2048] */
  features(pictures: readonly Image[], signal?: AbortSignal): Promise<Float32Array> {
    return this.inception.features(pictures, signal);
  }

  /**
   * From a set of pictures to the reference.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a set of fewer than two pictures.
   */
  async distance(set: FeatureSet, signal?: AbortSignal): Promise<number> {
    if (set.count < 2) throw invalidArgument('fid', `takes two pictures or more, got ${set.count}`);
    const statistics = await this.prepare({ signal });
    return frechetDistance(set, statistics, { threads: this.threads, signal });
  }

  /** What is to be known about figures of so many pictures. */
  notes(pictures: number): string[] {
    const least = this.inception.width;
    const small = (what: string, count: number) =>
      `FID is of ${count} ${what}: below ${least} their covariance is singular and the figure too large, by more the fewer there are; compare it only with others of as many`;
    return [
      ...(pictures < least ? [small('pictures', pictures)] : []),
      ...((this.referencePictures ?? least) < least
        ? [small('reference pictures', this.referencePictures as number)]
        : []),
    ];
  }

  /** Frees the network's memory. */
  dispose(): void {
    this.inception.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
