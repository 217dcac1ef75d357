import { randomBytes } from 'node:crypto';
import { access, constants, lstat, mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { DeepCacheError, invalidArgument, messageOf } from '../errors.js';
import { replaceFile } from '../files/atomic-write.js';

/** Standard output in place of a file. */
export const STDOUT = '-';

export interface OutputOptions {
  /** The option that names the file, as the library would. */
  option: string;
  /** What the name may end in. */
  endings: readonly string[];
  /** Files that are made; several are numbered. Default 1. */
  count?: number;
  /** Whether what is there is replaced. Otherwise the new file's name gets a number. */
  force?: boolean | undefined;
}

/** Pages. */
export const HTML = { option: 'html', endings: ['.html', '.htm'] } as const;

/** For node:fs: the file is on the disk before it gets its name. */
export const FLUSHED = { flush: true } as const;

/** The name for a single file, numbered ones for several: out-1.png, out-2.png, ... */
export function fileNames(output: string, count: number, first = 1): string[] {
  if (count === 1 && first === 1) return [output];
  const ending = extname(output);
  const stem = output.slice(0, output.length - ending.length);
  return Array.from({ length: count }, (_, i) => `${stem}-${first + i}${ending}`);
}

/**
 * A file, or several, that a command is going to write. Everything that can be wrong with it is found before the work
 * that fills it; nothing is replaced unless it was asked for, and never by half a file.
 */
export class OutputFile {
  #files: string[];

  private constructor(
    private readonly path: string,
    files: string[],
    private readonly options: OutputOptions,
    /** What is there and stays. */
    private readonly kept: readonly string[] = [],
  ) {
    this.#files = files;
  }

  /**
   * Makes the folder, and tries to write there.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for the name, ERR_DEEPCACHE_OUTPUT for the place
   */
  static async prepare(path: string, options: OutputOptions): Promise<OutputFile> {
    const { option, endings, count = 1, force } = options;
    if (!endings.includes(extname(path).toLowerCase())) {
      const got = JSON.stringify(path);
      throw invalidArgument(option, `must end in ${endings.join(', ')}, got ${got}`);
    }
    const folder = dirname(path);
    await writing(path, async () => {
      await requireFolders(folder);
      await mkdir(folder, { recursive: true });
      await requireSpace(path);
    });
    const wanted = fileNames(path, count);
    const there = await Promise.all(wanted.map(exists));
    for (const file of wanted) {
      const old = await stat(file).catch(() => undefined);
      if (old?.isDirectory()) throw outputError(file, 'is a folder');
      if (old && force) await writing(file, () => access(file, constants.W_OK));
    }
    const kept = force ? [] : wanted.filter((_, i) => there[i]);
    const files = kept.length === 0 ? wanted : await freeNames(path, count);
    return new OutputFile(path, files, options, kept);
  }

  /** Where it goes: names that are free, or that may be replaced. */
  get files(): readonly string[] {
    return this.#files;
  }

  /** What to report where it does not go to the place that was asked for. */
  get remark(): string | undefined {
    if (this.kept.length === 0) return undefined;
    const [is, it] = this.kept.length === 1 ? ['is', 'it'] : ['are', 'them'];
    const chosen = this.#files.join(', ');
    return `${this.kept.join(', ')} ${is} kept, this goes to ${chosen}; --force replaces ${it}`;
  }

  /** Writes one of the files; `fill` makes it under the name that it gets. */
  async write(index: number, fill: (part: string) => Promise<unknown>): Promise<string> {
    const put = async (file: string) => {
      await writing(file, () =>
        replaceFile(file, async (part) => void (await fill(part)), {
          overwrite: this.options.force === true,
        }),
      );
      return file;
    };
    const file = this.#files[index] ?? ((await freeNames(this.path, 1))[0] as string);
    try {
      return await put(file);
    } catch (error) {
      if (!isTaken(error)) throw error;
      // Somebody else has made one of that name meanwhile: this one gets another.
      const [free] = await freeNames(this.path, 1);
      this.#files[index] = free as string;
      return put(free as string);
    }
  }
}

/** The first names in a row with numbers above all that are there. */
async function freeNames(path: string, count: number): Promise<string[]> {
  const ending = extname(path);
  const stem = `${basename(path, ending)}-`;
  let highest = (await exists(path)) ? 1 : 0;
  for (const name of await readdir(dirname(path))) {
    const number =
      name.startsWith(stem) && name.endsWith(ending) ? name.slice(stem.length, -ending.length) : '';
    if (/^\d{1,15}$/.test(number)) highest = Math.max(highest, Number(number));
  }
  return fileNames(path, count, highest + 1);
}

/** Also links to nothing. */
async function exists(path: string): Promise<boolean> {
  const there = await lstat(path).catch(() => undefined);
  // A device or a pipe is written to, and has nothing to lose.
  return there?.isFile() === true || there?.isSymbolicLink() === true || there?.isDirectory() === true;
}

/** Throws where something on the way to a folder is none. */
async function requireFolders(folder: string): Promise<void> {
  const there = await lstat(folder).catch(() => undefined);
  const parent = dirname(folder);
  if (!there) return parent === folder ? undefined : requireFolders(parent);
  const target = there.isSymbolicLink() ? await stat(folder).catch(() => undefined) : there;
  if (!target) throw outputError(folder, 'is a link that leads nowhere, not a folder');
  if (!target.isDirectory()) throw outputError(folder, 'is not a folder');
}

/** Throws where no file can be made beside the path, or the disk has no room for any. */
async function requireSpace(path: string): Promise<void> {
  const folder = dirname(path);
  const probe = join(folder, `.${randomBytes(8).toString('hex')}`);
  try {
    const file = await open(probe, 'wx');
    await file.close();
  } finally {
    await rm(probe, { force: true });
  }
  const { bavail, blocks } = await statfs(folder).catch(() => ({ bavail: 1, blocks: 1 }));
  // Some file systems have no idea, and say that there are no blocks at all.
  if (bavail === 0 && blocks > 0) throw outputError(path, 'cannot be written: the disk is full');
}

/** What `work` makes; what the system says against it is an error that names the file, with a code. */
export async function writing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof DeepCacheError || typeof (cause as { code?: unknown })?.code !== 'string')
      throw cause;
    throw outputError(path, `cannot be written: ${reasonOf(cause)}`, cause);
  }
}

function outputError(path: string, message: string, cause?: unknown): DeepCacheError {
  return new DeepCacheError('ERR_DEEPCACHE_OUTPUT', `${path} ${message}`, { cause });
}

function isTaken(error: unknown): boolean {
  return ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code === 'EEXIST';
}

/** What the system says, without the call and the path behind it. */
function reasonOf(error: unknown): string {
  const { syscall } = error as NodeJS.ErrnoException;
  return syscall ? (messageOf(error).split(`, ${syscall}`, 1)[0] as string) : messageOf(error);
}

/** Throws where two options name the same file. */
export function requireDifferent(paths: Readonly<Record<string, string | undefined>>): void {
  const seen = new Map<string, string>();
  for (const [option, path] of Object.entries(paths)) {
    if (path === undefined || path === STDOUT) continue;
    const other = seen.get(resolve(path));
    if (other !== undefined) throw invalidArgument(option, `must be a different file from --${other}`);
    seen.set(resolve(path), option);
  }
}
