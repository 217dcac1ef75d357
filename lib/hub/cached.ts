import { existsSync, readdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isFolder, readSmallFile } from '../files/read.js';
import { CHECKPOINT, type HubFile, isWhole } from './choose-files.js';
import { isCommit } from './places.js';

// What a cache holds of a model.

/** The model of a revision: its snapshot, or the one checkpoint there; undefined where there is none. */
export async function cachedModel(
  repository: string,
  revision: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const commit = isCommit(revision) ? revision : await commitOf(repository, revision, signal);
  const folder = join(repository, 'snapshots', commit ?? 'none');
  const names = isFolder(folder) ? readdirSync(folder) : [];
  if (names.length === 0) return undefined;
  const [only, ...others] = names.filter((name) => CHECKPOINT.test(name));
  const isFile = only !== undefined && others.length === 0 && !names.some(isWhole);
  return isFile ? join(folder, only) : folder;
}

async function commitOf(
  repository: string,
  revision: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const ref = join(repository, 'refs', revision);
  if (!existsSync(ref) || isFolder(ref)) return undefined;
  const commit = (await readSmallFile(ref, 256, { signal })).toString('utf8').trim();
  return isCommit(commit) ? commit : undefined;
}

/** Bytes of files that are there, or were begun. */
export async function presentBytes(repository: string, files: readonly HubFile[]): Promise<number> {
  let sum = 0;
  for (const { hash, size } of files) {
    const path = join(repository, 'blobs', hash);
    const found = await stat(path).catch(() => stat(`${path}.incomplete`).catch(() => undefined));
    sum += Math.min(size, found?.size ?? 0);
  }
  return sum;
}
