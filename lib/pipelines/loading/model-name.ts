import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isFolder } from '../../files/read.js';

/** What distinguishes a model from others. */
export interface ModelName {
  /** That of its repository, for folders in the cache of Hugging Face's tools; other folders' names say little. */
  readonly name?: string;
  /** Ten digits that stand for its networks: their configurations and samples of their weights. */
  readonly fingerprint: string;
}

/** Of every file of weights: its beginning, where the tensors are listed, and so many places behind it. */
const HEAD = 2 ** 16;
const SAMPLES = 16;
const SAMPLE = 4096;
/** Models have a handful of files. */
const MOST_FILES = 256;
const WEIGHTS = /\.safetensors$/;
const READ = /\.safetensors$|^config\.json$/;

/**
 * Names the model of a folder, or of files and folders. Files are not read as a whole, which takes minutes for large models: what training changes,
 * it changes everywhere. Files that cannot be read are left out; loading reports what is wrong with them.
 */
export async function nameModel(...places: readonly string[]): Promise<ModelName> {
  const hash = createHash('sha256');
  for (const path of places) {
    // A file's own name says nothing about it.
    const names = isFolder(path) ? await filesOf(path) : [''];
    for (const name of names) {
      hash.update(`${name}\n`);
      await addFile(hash, join(path, name)).catch(() => undefined);
    }
  }
  const name = repositoryOf(resolve(places[0] ?? ''));
  return { ...(name !== undefined && { name }), fingerprint: hash.digest('hex').slice(0, 10) };
}

function repositoryOf(path: string): string | undefined {
  // models--OWNER--NAME/snapshots/COMMIT
  const repository = /^models--(.+?)--(.+)$/.exec(basename(dirname(dirname(path))));
  return repository ? `${repository[1]}/${repository[2]}` : undefined;
}

/** Of a folder and the folders in it, where there are weights: the sampler's fields are settings of their own. */
async function filesOf(folder: string): Promise<string[]> {
  const list = async (sub: string) => (await readdir(join(folder, sub)).catch(() => [])).sort();
  const top = await list('');
  const files: string[] = [];
  for (const sub of ['', ...top]) {
    const names = sub === '' ? top : await list(sub);
    if (names.some((name) => WEIGHTS.test(name)))
      files.push(...names.filter((name) => READ.test(name)).map((name) => join(sub, name)));
  }
  return files.slice(0, MOST_FILES);
}

async function addFile(hash: Hash, path: string): Promise<void> {
  // A pipe would hold the thread until somebody writes to it.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const stats = await file.stat();
    if (!stats.isFile()) return;
    hash.update(`${stats.size}\n`);
    await addPart(hash, file, 0, HEAD);
    for (let i = 1; i <= SAMPLES && stats.size > HEAD; i++) {
      await addPart(hash, file, HEAD + Math.floor(((stats.size - HEAD) * i) / (SAMPLES + 1)), SAMPLE);
    }
  } finally {
    await file.close();
  }
}

async function addPart(hash: Hash, file: FileHandle, position: number, length: number): Promise<void> {
  // With all arguments, see readSmallFile.
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  hash.update(buffer.subarray(0, bytesRead));
}
