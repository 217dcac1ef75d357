import { access, constants, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { invalidArgument, messageOf } from '../../../errors.js';
import { writeFileAtomic } from '../../../files/atomic-write.js';
import { isName, type ResultStore } from './result-store.js';

/** Pictures in a folder that servers and workers share. */
export class FolderResults implements ResultStore {
  readonly isLimited = false;

  private constructor(private readonly folder: string) {}

  /** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a place that cannot be written. */
  static async open(folder: string): Promise<FolderResults> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await access(folder, constants.W_OK | constants.R_OK);
    } catch (error) {
      throw invalidArgument('results', `cannot be used: ${messageOf(error)}`);
    }
    return new FolderResults(folder);
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    await writeFileAtomic(this.#path(name), bytes);
  }

  async get(name: string): Promise<Buffer | undefined> {
    if (!isName(name)) return undefined;
    try {
      return await readFile(this.#path(name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const name of names.filter(isName)) await rm(this.#path(name), { force: true });
  }

  /** Files of ours that are older than all that is kept: who should have removed them was killed. */
  async tidy(milliseconds: number): Promise<void> {
    const oldest = Date.now() - milliseconds;
    for (const file of await readdir(this.folder)) {
      if (!/^([0-9a-f]{48}|\.[0-9a-f]{16})\.png$/.test(file)) continue;
      const path = join(this.folder, file);
      const found = await stat(path).catch(() => undefined);
      if (found && found.mtimeMs < oldest) await rm(path, { force: true });
    }
  }

  #path(name: string): string {
    return join(this.folder, `${name}.png`);
  }
}
