import { existsSync } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, parse } from 'node:path';
import { invalidArgument } from '../errors.js';
import { expandHome } from '../files/home.js';
import { isFolder } from '../files/read.js';
import { show } from '../messages.js';
import { closest } from '../names.js';
import { ENDINGS, foldersOf, INDEXES, KINDS, type LibraryKind, TITLES } from './layouts.js';

/** A model, a LoRA, an embedding or an autoencoder in a folder that image programs share. */
export interface LibraryEntry {
  readonly kind: LibraryKind;
  /** From the folder of its kind, with slashes. */
  readonly name: string;
  readonly path: string;
  /** Of a file; undefined for a folder. */
  readonly bytes: number | undefined;
}

/** Folders below the one of a kind, and things of a kind in all. */
const DEEPEST = 8;
const MOST_ENTRIES = 20_000;

/** A folder of models from the option, or else from the environment. */
export function modelsFolder(given: string | undefined): string | undefined {
  const folder = given ?? (process.env.DEEPCACHE_MODELS_DIR || undefined);
  return folder === undefined ? undefined : expandHome(folder);
}

/**
 * Things of a kind below a folder of models, in the layouts of AUTOMATIC1111's web UI, Forge, ComfyUI and InvokeAI.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT when there is no such folder.
 */
export async function listLibrary(
  folder: string,
  kinds: readonly LibraryKind[] = KINDS,
  signal?: AbortSignal,
): Promise<LibraryEntry[]> {
  if (!isFolder(folder)) throw invalidArgument('modelsDir', `must be a folder, and ${show(folder)} is none`);
  const entries: LibraryEntry[] = [];
  for (const kind of kinds) {
    // Names of folders differ in their case only where that matters.
    const seen = new Set<string>();
    for (const place of foldersOf(kind)) {
      const root = join(folder, place);
      if (isFolder(root)) await walk({ kind, root, seen, entries, signal }, '', 0);
    }
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * The path of what a name means in a folder of models: a file or a folder by its name, with or without its ending and
 * the folders above it, in any case. Undefined when there is none; a path is none.
 *
 * @param option whose value the name is, for messages.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a name that several things have.
 */
export async function findInLibrary(
  folder: string,
  kind: LibraryKind,
  name: string,
  { option, signal }: { option: string; signal?: AbortSignal | undefined },
): Promise<string | undefined> {
  if (!isName(name)) return undefined;
  return pick(name, await listLibrary(folder, [kind], signal), { folder, kind, option });
}

/**
 * The same in a folder with things of one kind.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a name that nothing has, or several things.
 */
export async function findInFolder(
  root: string,
  kind: LibraryKind,
  name: string,
  { option, signal }: { option: string; signal?: AbortSignal | undefined },
): Promise<string> {
  const entries: LibraryEntry[] = [];
  await walk({ kind, root, seen: new Set(), entries, signal }, '', 0);
  const found = isName(name) ? pick(name, entries, { folder: root, kind, option }) : undefined;
  if (found !== undefined) return found;
  throw invalidArgument(option, `has no ${TITLES[kind]} ${show(name)}${hint(name, entries)}`);
}

function pick(
  name: string,
  all: readonly LibraryEntry[],
  { folder, kind, option }: { folder: string; kind: LibraryKind; option: string },
): string | undefined {
  // What lies nearer comes before what folders have of that name.
  for (const isMeant of [
    (entry: LibraryEntry) => entry.name === name,
    isCalled(name, false),
    isCalled(name),
  ]) {
    const matches = all.filter(isMeant);
    const best = bestOf(kind, matches);
    if (best.length === 1) return best[0]?.path;
    if (best.length > 1) {
      const list = best.slice(0, 8).map((entry) => show(entry.name));
      throw invalidArgument(option, `${show(name)} is several in ${folder}: ${list.join(', ')}; say which`);
    }
  }
  return undefined;
}

/** The error for a name that means nothing in a folder of models. */
export async function notInLibrary(
  folder: string,
  kind: LibraryKind,
  name: string,
  { option, signal }: { option: string; signal?: AbortSignal | undefined },
): Promise<Error> {
  const said = hint(name, await listLibrary(folder, [kind], signal));
  return invalidArgument(
    option,
    `${show(name)} is no file or folder, and no ${TITLES[kind]} in ${folder}${said}`,
  );
}

function hint(name: string, entries: readonly LibraryEntry[]): string {
  const names = entries.map((entry) => parse(entry.name).name);
  const meant = closest(name, names);
  return meant === undefined ? `; it has ${names.length} of them` : `; did you mean ${show(meant)}?`;
}

/** Whether it may be looked up; what is absolute or leads upwards is a path. */
export function isName(text: string): boolean {
  return text !== '' && !isAbsolute(text) && !/^[~.]|(?:^|[\\/])\.\.?(?:[\\/]|$)|^[A-Za-z]:|\0/.test(text);
}

/** @param below whether it may be in a folder that is not named. */
function isCalled(name: string, below = true): (entry: LibraryEntry) => boolean {
  const wanted = name.replaceAll('\\', '/').toLowerCase();
  return (entry) => {
    const own = entry.name.toLowerCase();
    const bare = entry.bytes === undefined ? own : own.slice(0, own.length - parse(own).ext.length);
    return [own, bare].some((one) => one === wanted || (below && one.endsWith(`/${wanted}`)));
  };
}

/** Of one thing in several formats the best. */
function bestOf(kind: LibraryKind, entries: readonly LibraryEntry[]): LibraryEntry[] {
  const rank = ({ path }: LibraryEntry) => ENDINGS[kind].indexOf(parse(path).ext.toLowerCase());
  const best = new Map<string, LibraryEntry>();
  for (const entry of entries) {
    const { dir, name } = parse(entry.path);
    const key = join(dir, entry.bytes === undefined ? parse(entry.path).base : name);
    const other = best.get(key);
    if (!other || rank(entry) < rank(other)) best.set(key, entry);
  }
  return [...best.values()];
}

interface Walk {
  readonly kind: LibraryKind;
  readonly root: string;
  /** Where links lead back to is looked at once. */
  readonly seen: Set<string>;
  readonly entries: LibraryEntry[];
  readonly signal: AbortSignal | undefined;
}

async function walk(context: Walk, below: string, depth: number): Promise<void> {
  const { kind, root, seen, entries, signal } = context;
  signal?.throwIfAborted();
  const folder = join(root, below);
  const real = await realpath(folder).catch(() => folder);
  if (depth > DEEPEST || seen.has(real)) return;
  seen.add(real);
  for (const file of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    if (entries.length >= MOST_ENTRIES) return;
    if (file.name.startsWith('.')) continue;
    const name = below === '' ? file.name : `${below}/${file.name}`;
    const path = join(root, name);
    const found = await stat(path).catch(() => undefined);
    if (found?.isDirectory()) {
      const index = INDEXES[kind];
      if (index !== undefined && existsSync(join(path, index)))
        entries.push({ kind, name, path, bytes: undefined });
      else await walk(context, name, depth + 1);
    } else if (found?.isFile() && ENDINGS[kind].includes(parse(file.name).ext.toLowerCase())) {
      entries.push({ kind, name, path, bytes: found.size });
    }
  }
}
