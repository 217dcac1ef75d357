import { lstat, readdir } from 'node:fs/promises';
import { InvalidArgumentError } from 'commander';
import { writing } from '../lib/cli/output-file.js';
import { invalidArgument } from '../lib/errors.js';
import { show } from '../lib/messages.js';
import { requireFree, Stage } from './staging.js';

/**
 * Calls `work` with a stage for what a command writes: a file, or the shards of one, where the name ends like one of weights, else a
 * folder.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for what is there already, unless it may be replaced.
 */
export async function staged<T>(
  { output, force = false }: { output: string; force?: boolean },
  work: (stage: Stage) => Promise<T>,
): Promise<T> {
  const isFolder = !isWeightsFile(output);
  if (isFolder) await checkFolder(output, force);
  else await checkFile(output, force);
  return Stage.with(output, { isFolder, force }, work);
}

async function checkFile(path: string, force: boolean): Promise<void> {
  const there = await lstat(path).catch(() => undefined);
  if (there?.isDirectory()) throw invalidArgument('output', `${path} is a folder`);
  if (!force) await requireFree(path);
}

/** Looks at the folder that is going to be written: it may be there, and must be empty. */
async function checkFolder(path: string, force: boolean): Promise<void> {
  const [ending] = OTHER_WEIGHTS.exec(path) ?? [];
  if (ending !== undefined) {
    const what = `must end in .safetensors for a file, or name a folder, got ${show(path)}`;
    throw invalidArgument('output', `${what}; ${ending} files are not written`);
  }
  const names = await writing(path, () =>
    readdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    }),
  );
  if (force || names.length === 0) return;
  throw invalidArgument('output', `${path} is not empty; --force writes into it all the same`);
}

/** Names that nobody has in mind for a folder. */
const OTHER_WEIGHTS = /\.(?:ckpt|pt|pth|bin|pkl|gguf|onnx|safetensor)$/i;

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
