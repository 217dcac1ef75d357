import { type FileHandle, open } from 'node:fs/promises';
import { invalidArgument } from '../errors.js';
import type { FeatureSet } from './feature-set.js';

/** Pictures whose features are read at a time. */
const AT_ONCE = 256;

/**
 * Features of pictures as they become known, so that a measurement goes on where it was killed: a line of JSON that says
 * which ones they are, then a row of little-endian fp32 values for each picture. A row that was not finished counts for nothing.
 */
export class FeatureFile {
  private constructor(
    private readonly file: FileHandle,
    private readonly start: number,
    private readonly width: number,
    /** Rows that it had when it was opened. */
    readonly count: number,
  ) {}

  /**
   * Opens or makes a file.
   *
   * @param about which pictures and which network: a file of others is not gone on with.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a file of something else, or none that can be opened.
   */
  static async open(path: string, about: object, width: number): Promise<FeatureFile> {
    const fail = (what: string) => invalidArgument('resume', `${path} ${what}`);
    const file = await open(path, 'a+').catch((error: Error) => {
      throw fail(`cannot be opened: ${error.message}`);
    });
    try {
      const head = Buffer.from(`${JSON.stringify(about)}\n`);
      const { size } = await file.stat();
      const start = Buffer.alloc(Math.min(head.length, size));
      await file.read(start, 0, start.length, 0);
      if (!head.subarray(0, start.length).equals(start))
        throw fail('is of other reference pictures, or of another network: give a new file');
      const count = Math.max(0, Math.floor((size - head.length) / (4 * width)));
      await file.truncate(size < head.length ? 0 : head.length + 4 * width * count);
      if (size < head.length) await file.appendFile(head);
      return new FeatureFile(file, head.length, width, count);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Adds the rows that it had when it was opened. */
  async readInto(set: FeatureSet, signal?: AbortSignal): Promise<void> {
    const each = 4 * this.width;
    for (let i = 0; i < this.count; i += AT_ONCE) {
      const bytes = Buffer.alloc(each * Math.min(AT_ONCE, this.count - i));
      const { bytesRead } = await this.file.read(bytes, 0, bytes.length, this.start + each * i);
      if (bytesRead !== bytes.length) throw invalidArgument('resume', 'was cut while it was being read');
      const values = new Float32Array(bytes.length / 4);
      for (const k of values.keys()) values[k] = bytes.readFloatLE(4 * k);
      await set.add(values, signal);
    }
  }

  async add(features: Float32Array): Promise<void> {
    const bytes = Buffer.alloc(4 * features.length);
    for (const [i, value] of features.entries()) bytes.writeFloatLE(value, 4 * i);
    await this.file.appendFile(bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.file.close();
  }
}
