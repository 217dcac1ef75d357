import { lstat, mkdir, readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { writing } from '../lib/cli/output-file.js';
import { invalidArgument } from '../lib/errors.js';

/**
 * Makes the folder that a file goes to.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT where there is something of that name, unless it may be replaced.
 */
export async function prepareFile(path: string, force: boolean): Promise<void> {
  await writing(path, () => mkdir(dirname(path), { recursive: true }));
  const there = await lstat(path).catch(() => undefined);
  if (there?.isDirectory()) throw invalidArgument('output', `${path} is a folder`);
  if (there && !force) throw invalidArgument('output', `${path} is there already; --force replaces it`);
}

/** Looks at the folder that is going to be written: it may be there, and must be empty. */
export async function checkFolder(path: string, force: boolean): Promise<void> {
  const names = await writing(path, () =>
    readdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    }),
  );
  if (force || names.length === 0) return;
  throw invalidArgument('output', `${path} is not empty; --force writes into it all the same`);
}

/** Whether a path names a file of weights, and not a folder. */
export function isWeightsFile(path: string): boolean {
  return /\.safetensors$/i.test(path);
}

const UNITS: Readonly<Record<string, number>> = { mb: 1e6, gb: 1e9, mib: 2 ** 20, gib: 2 ** 30 };

/** Bytes: "5GB", "500 MB". */
export function toBytes(text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?) ?(MB|GB|MiB|GiB)$/i.exec(text) ?? [];
  const bytes = Number(number) * (UNITS[unit.toLowerCase()] ?? Number.NaN);
  if (!(bytes >= 1e6 && bytes <= 1e15))
    throw new InvalidArgumentError('must be a size such as 5GB, at least 1MB');
  return Math.floor(bytes);
}
