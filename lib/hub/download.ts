import { createHash, type Hash } from 'node:crypto';
import { copyFile, type FileHandle, link, mkdir, open, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { HubFile } from './choose-files.js';
import { downloadError } from './places.js';
import { HubFailure, RESTARTED } from './requests.js';

/** Where the bytes of a file come from, from a place on. */
export type Source = (file: HubFile, start: number) => Promise<ReadableStream<Uint8Array>>;

export interface DownloadContext {
  /** What the model is called in messages. */
  readonly name: string;
  /** models--org--name in the cache. */
  readonly repository: string;
  readonly source: Source;
  /** What a stream's error stands for. */
  readonly failureOf: (error: unknown) => unknown;
  readonly signal: AbortSignal | undefined;
  /** Milliseconds before the first repetition. */
  readonly patience: number;
  /** Bytes of this file that are there. */
  readonly onBytes: (bytes: number) => void;
}

/** Failures in a row, without a byte between them, after which nothing is tried again. */
const MOST_FAILURES = 5;
/** Seconds that a server may ask to wait. */
const LONGEST_WAIT = 60;
const PART = 2 ** 20;

/**
 * Downloads a file into the cache's blobs, under its hash; what an earlier try left is gone on with. What does not have
 * the hash that the Hub names is thrown away, and loaded once more.
 */
export async function downloadBlob(file: HubFile, context: DownloadContext): Promise<string> {
  const { name, repository, signal, patience, onBytes } = context;
  const path = join(repository, 'blobs', file.hash);
  if (await hasSize(path, file.size)) {
    onBytes(file.size);
    return path;
  }
  await mkdir(dirname(path), { recursive: true });
  const part = `${path}.incomplete`;
  let failures = 0;
  let wrong = 0;
  for (;;) {
    signal?.throwIfAborted();
    const before = await sizeOf(part);
    try {
      if (await loadRest(part, file, context)) break;
      await rm(part, { force: true });
      if (++wrong > 1)
        throw downloadError(
          name,
          `${file.path} does not have the checksum that the Hub names; nothing of it was kept`,
        );
    } catch (error) {
      signal?.throwIfAborted();
      const failure = context.failureOf(error);
      if (!(failure instanceof HubFailure) || !failure.isPassing) throw failure;
      if (failure.kind === RESTARTED) await rm(part, { force: true });
      failures = (await sizeOf(part)) > before ? 1 : failures + 1;
      if (failures >= MOST_FAILURES || (failure.retryAfter ?? 0) > LONGEST_WAIT) throw failure;
      await pause(Math.max((failure.retryAfter ?? 0) * 1000, patience * 2 ** (failures - 1)), undefined, {
        signal,
      });
    }
  }
  await rename(part, path).catch(async (error: unknown) => {
    // Another process was sooner.
    if (!(await hasSize(path, file.size))) throw error;
  });
  return path;
}

/** Puts a file's blob where the snapshot has it. */
export async function placeInSnapshot(blob: string, pointer: string, size: number): Promise<void> {
  if (await hasSize(pointer, size)) return;
  await rm(pointer, { force: true });
  await mkdir(dirname(pointer), { recursive: true });
  const ways = [
    () => symlink(relative(dirname(pointer), blob), pointer),
    // Where there are no links for everybody (Windows), or none at all.
    () => link(blob, pointer),
    () => copyFile(blob, pointer),
  ];
  for (const [i, way] of ways.entries()) {
    try {
      return await way();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
      if (i === ways.length - 1) throw error;
    }
  }
}

/** Loads what is missing; false when all is there and its hash is wrong. */
async function loadRest(part: string, file: HubFile, context: DownloadContext): Promise<boolean> {
  const { signal, onBytes } = context;
  const handle = await open(part, 'a+').then(async (made) => {
    await made.close();
    return open(part, 'r+');
  });
  try {
    const hash = file.isLarge ? createHash('sha256') : createHash('sha1').update(`blob ${file.size}\0`);
    let at = await addPresent(handle, hash, file.size, signal);
    onBytes(at);
    if (at < file.size) {
      for await (const bytes of await context.source(file, at)) {
        signal?.throwIfAborted();
        if (at + bytes.length > file.size) return false;
        hash.update(bytes);
        // At its place, not at the end: another process may be writing the same.
        for (let done = 0; done < bytes.length; ) {
          done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
        }
        at += bytes.length;
        onBytes(at);
      }
    }
    if (at < file.size) throw new HubFailure(undefined, undefined, 'the connection ended early');
    await handle.truncate(at);
    await handle.sync();
    return hash.digest('hex') === file.hash;
  } finally {
    await handle.close();
  }
}

/** Reads what an earlier try left. */
async function addPresent(
  handle: FileHandle,
  hash: Hash,
  most: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const buffer = Buffer.allocUnsafe(PART);
  for (let at = 0; ; ) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, Math.min(PART, most - at), at);
    if (bytesRead === 0) return at;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}

async function hasSize(path: string, size: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true && found.size === size;
}
