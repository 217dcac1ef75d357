import { randomBytes } from 'node:crypto';
import { access, chmod, constants, link, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { types } from 'node:util';

export interface AtomicWriteOptions {
  /** Whether a file of that name is replaced (default), or is an error with the code EEXIST. */
  overwrite?: boolean;
}

/**
 * Writes a file so that its name stands for all of the new bytes or for what was there before, whatever goes wrong.
 *
 * @throws what the system says: errors of node:fs.
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: AtomicWriteOptions = {},
): Promise<void> {
  // A device is there already, and has nothing to flush.
  const write = (part: string) => writeFile(part, data, part === path ? {} : { flag: 'wx', flush: true });
  await replaceFile(path, write, options);
}

/**
 * The same for what others write: `write` makes the file at the path that it gets, which lies beside the final one, has
 * its ending, and does not exist yet. A link is replaced, not what it stands for. Pipes and devices cannot be replaced:
 * they are written themselves.
 */
export async function replaceFile(
  path: string,
  write: (part: string) => Promise<void>,
  { overwrite = true }: AtomicWriteOptions = {},
): Promise<void> {
  const old = await stat(path).catch(() => undefined);
  if (old && !old.isFile() && !old.isDirectory()) return write(path);
  // Nobody can guess it and put a link in its place; it may be longer than the name, but not too long where that fits.
  const ending = extname(path);
  const part = join(dirname(path), `.${randomBytes(8).toString('hex')}${ending.length > 16 ? '' : ending}`);
  try {
    if (old) await access(path, constants.W_OK);
    await write(part);
    if (old) await chmod(part, old.mode & 0o777);
    if (overwrite) await rename(part, path);
    else await renameNew(part, path);
  } catch (error) {
    // The name beside it says nothing to anybody.
    if (types.isNativeError(error)) error.message = error.message.replaceAll(part, path);
    throw error;
  } finally {
    await rm(part, { force: true });
  }
}

/** rename() to a name that must be free. */
async function renameNew(part: string, path: string): Promise<void> {
  try {
    await link(part, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error;
    // Some file systems have no second names: the name is taken first then.
    await writeFile(path, '', { flag: 'wx' });
    await rename(part, path);
  }
}
