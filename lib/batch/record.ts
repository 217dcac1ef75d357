import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { DeepCacheError, messageOf } from '../errors.js';
import { linesOf } from './lines.js';

/** What came of a line. */
export interface BatchEntry {
  readonly line: number;
  /** Of what was asked for: another request in the line has another one. */
  readonly key: string;
  readonly state: 'done' | 'failed';
  /** The pictures in the folder. */
  readonly files?: readonly string[];
  /** The seed of all of them, or of each: what JSON holds. */
  readonly seeds?: readonly (number | string)[];
  /** From when its turn came to its end. */
  readonly seconds?: number;
  readonly error?: string;
}

/** Its name in the folder. */
export const RECORD = 'results.jsonl';

/**
 * What was made in a folder, a JSON line for each: an entry is written when its pictures are there for good, so that
 * whoever goes on after a kill makes what is missing, and nothing twice.
 */
export class BatchRecord {
  private constructor(
    private readonly file: FileHandle,
    private readonly done: Map<number, string>,
  ) {}

  /**
   * @param anew forgets what was made before.
   * @throws DeepCacheError ERR_DEEPCACHE_OUTPUT
   */
  static async open(folder: string, anew: boolean): Promise<BatchRecord> {
    const path = join(folder, RECORD);
    try {
      const file = await open(path, anew ? 'w+' : 'a+');
      const done = new Map<number, string>();
      let end = 0;
      for await (const { text } of linesOf(file.createReadStream({ start: 0, autoClose: false }))) {
        const entry = entryOf(text);
        if (!entry) continue;
        if (entry.state === 'done') done.set(entry.line, entry.key);
        else done.delete(entry.line);
      }
      // A line that a kill has cut off ends here.
      end = (await file.stat()).size;
      if (end > 0) {
        const last = Buffer.alloc(1);
        await file.read(last, 0, 1, end - 1);
        if (last[0] !== 10) await file.appendFile('\n');
      }
      return new BatchRecord(file, done);
    } catch (error) {
      throw new DeepCacheError('ERR_DEEPCACHE_OUTPUT', `${path}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** The key of what was made for a line; undefined: nothing was. */
  keyOf(line: number): string | undefined {
    return this.done.get(line);
  }

  async add(entry: BatchEntry): Promise<void> {
    await this.file.appendFile(`${JSON.stringify(entry)}\n`);
    await this.file.datasync();
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

/** Undefined for a line that was cut off. */
function entryOf(text: string): BatchEntry | undefined {
  try {
    const value = JSON.parse(text) as Partial<BatchEntry> | null;
    const isEntry = Number.isInteger(value?.line) && typeof value?.key === 'string';
    return isEntry ? (value as BatchEntry) : undefined;
  } catch {
    return undefined;
  }
}
