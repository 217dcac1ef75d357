import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { types } from 'node:util';
import { writing } from '../lib/cli/output-file.js';
import { invalidArgument } from '../lib/errors.js';

export interface StageOptions {
  /** Whether the output is a folder, and not a file or the shards of one. */
  isFolder: boolean;
  /** Whether what is there is replaced. */
  force: boolean;
}

/**
 * Where a command writes: a hidden folder on the disk of its output, from which everything goes to its place when all of it is
 * complete.
 */
export class Stage {
  readonly #replaced: string[] = [];

  private constructor(
    readonly folder: string,
    private readonly target: string,
    private readonly force: boolean,
  ) {}

  /**
   * Calls `work`, and puts what it wrote into the stage's folder where it belongs. Of what goes wrong or is interrupted nothing is
   * left, no folder either.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_OUTPUT for the place, ERR_DEEPCACHE_INVALID_ARGUMENT for what is there already.
   */
  static async with<T>(
    output: string,
    { isFolder, force }: StageOptions,
    work: (stage: Stage) => Promise<T>,
  ): Promise<T> {
    const target = isFolder ? output : dirname(output);
    const made = await writing(output, () => mkdir(target, { recursive: true }));
    // Nobody can guess it and put a link in its place.
    const stage = new Stage(join(target, `.${randomBytes(8).toString('hex')}.part`), target, force);
    try {
      await writing(output, () => mkdir(stage.folder));
      const result = await work(stage);
      await writing(output, () => stage.#finish());
      return result;
    } catch (error) {
      // A name that is gone says nothing to anybody.
      if (types.isNativeError(error)) error.message = error.message.replaceAll(stage.folder, target);
      await rm(stage.folder, { recursive: true, force: true });
      if (made !== undefined) await removeEmpty(target, made);
      throw error;
    }
  }

  /** Where a file is written that is going to have this place. */
  at(place: string): string {
    return join(this.folder, relative(this.target, place));
  }

  /** The place that a path in the stage's folder is going to have. */
  placeOf(path: string): string {
    return join(this.target, relative(this.folder, path));
  }

  /** A file that goes when the rest comes, where there is one. */
  replaces(place: string): void {
    this.#replaced.push(place);
  }

  async #finish(): Promise<void> {
    const names = await namesIn(this.folder);
    for (const name of this.force ? [] : names) await requireFree(join(this.target, name));
    for (const name of names) {
      await mkdir(dirname(join(this.target, name)), { recursive: true });
      await rename(join(this.folder, name), join(this.target, name));
    }
    for (const place of this.#replaced) await rm(place, { force: true });
    await rm(this.folder, { recursive: true });
  }
}

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT where there is something of the name. */
export async function requireFree(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined);
  if (there) throw invalidArgument('output', `${path} is there already; --force replaces it`);
}

/** All files below a folder; what makes it a model comes last. */
async function namesIn(folder: string): Promise<string[]> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter(
    (entry) => !entry.isDirectory(),
  );
  const names = files.map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
  const rank = (name: string) => (basename(name) === 'model_index.json' ? 1 : 0);
  return names.sort((a, b) => rank(a) - rank(b));
}

/** Folders from `folder` up to `first` that nothing is in. */
async function removeEmpty(folder: string, first: string): Promise<void> {
  const end = resolve(first);
  for (let path = resolve(folder); path.startsWith(end); path = dirname(path)) {
    const isGone = await rmdir(path).then(
      () => true,
      () => false,
    );
    if (!isGone) return;
  }
}
