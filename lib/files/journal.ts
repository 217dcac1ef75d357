import { type FileHandle, open } from 'node:fs/promises';
import { invalidArgument } from '../errors.js';

/**
 * What a long measurement found so far, a line of JSON for each thing, so that it goes on where it was killed: a line that
 * was not finished counts for nothing.
 */
export class Journal<Entry> {
  private constructor(
    private readonly file: FileHandle,
    private readonly entries: Map<string, Entry>,
  ) {}

  /**
   * Opens or makes a file.
   *
   * @param about what the measurement is of: a file of another one is not gone on with.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a file of something else, or none that can be opened.
   */
  static async open<Entry>(path: string, about: object): Promise<Journal<Entry>> {
    const fail = (what: string) => invalidArgument('resume', `${path} ${what}`);
    const file = await open(path, 'a+').catch((error: Error) => {
      throw fail(`cannot be opened: ${error.message}`);
    });
    try {
      const text = await file.readFile('utf8');
      const lines = text.split('\n');
      const unfinished = lines.pop() as string;
      const wanted = JSON.stringify(about);
      if (lines.length === 0 && unfinished !== '' && !wanted.startsWith(unfinished)) {
        throw fail('is no file of a measurement');
      }
      const [head, ...rest] = lines;
      if (head !== undefined && head !== wanted) throw fail('is of another measurement: give a new file');
      await file.truncate(Buffer.byteLength(text.slice(0, text.length - unfinished.length)));
      if (head === undefined) await file.appendFile(`${wanted}\n`);
      return new Journal(file, new Map(rest.map((line) => JSON.parse(line) as [string, Entry])));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get(key: string): Entry | undefined {
    return this.entries.get(key);
  }

  async add(key: string, entry: Entry): Promise<void> {
    this.entries.set(key, entry);
    await this.file.appendFile(`${JSON.stringify([key, entry])}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.file.close();
  }
}
