import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { DeepCacheError, invalidArgument, messageOf } from '../errors.js';
import { Image } from '../images/image.js';
import { openPicture } from '../images/picture.js';

/** What pytorch-fid takes for pictures, whatever else lies in the folder. */
const ENDINGS = ['.bmp', '.jpg', '.jpeg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp'];
/** Files that are looked at at a time. */
const AT_ONCE = 4;

/** Pictures of a folder, by their names; those in folders below it are not looked for, as pytorch-fid does not. */
export class PictureFolder {
  private constructor(
    readonly folder: string,
    readonly files: readonly string[],
    /** Which files these are: names, sizes and times of change. */
    readonly fingerprint: string,
  ) {}

  /**
   * Looks at the header of every picture.
   *
   * @param onProgress hears how many were looked at.
   * @throws DeepCacheError ERR_DEEPCACHE_IMAGE naming a file that is no picture, ERR_DEEPCACHE_INVALID_ARGUMENT for a
   * folder with fewer than two; the signal's reason.
   */
  static async open(
    folder: string,
    { signal, onProgress }: { signal?: AbortSignal | undefined; onProgress?: Progress | undefined } = {},
  ): Promise<PictureFolder> {
    const names = (await listed(folder)).filter((name) => ENDINGS.includes(extname(name).toLowerCase()));
    if (names.length < 2) {
      const found = names.length === 0 ? 'no pictures' : 'one picture';
      throw invalidArgument('fid', `${folder} has ${found} (${ENDINGS.join(', ')}); it takes two or more`);
    }
    const files = names.sort().map((name) => join(folder, name));
    const hash = createHash('sha256');
    for (let i = 0; i < files.length; i += AT_ONCE) {
      const some = files.slice(i, i + AT_ONCE);
      const marks = await Promise.all(
        some.map(async (file) => {
          await openPicture(file, { signal });
          const { size, mtimeMs } = await stat(file);
          return JSON.stringify([file, size, mtimeMs]);
        }),
      );
      hash.update(marks.join());
      onProgress?.(i + some.length, files.length);
    }
    return new PictureFolder(folder, files, hash.digest('hex'));
  }

  /** Pictures [first, first + count) as they are stored: neither turned upright nor converted by a profile. */
  async read(first: number, count: number, signal?: AbortSignal): Promise<Image[]> {
    const some = this.files.slice(first, first + count);
    return Promise.all(some.map((file) => Image.open(file, { signal, asStored: true })));
  }
}

/** Pictures that are done, and all. */
export type Progress = (done: number, total: number) => void;

async function listed(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if (cause instanceof DeepCacheError) throw cause;
    throw invalidArgument('fid', `${folder} cannot be read: ${messageOf(cause)}`, { cause });
  }
}
