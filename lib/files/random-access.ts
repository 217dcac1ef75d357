import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { untilAborted } from '../aborting.js';
import { DeepCacheError, invalidWeights, messageOf } from '../errors.js';
import { shorten } from '../messages.js';

/** What changes when somebody writes into a file. */
export interface FileStamp {
  readonly size: number;
  /** Nanoseconds of its last change. */
  readonly changed: bigint;
}

export interface AccessOptions {
  signal?: AbortSignal | undefined;
}

// Opening a pipe would wait for its writer.
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** A file of weights, of which parts are read. Errors are ERR_DEEPCACHE_INVALID_WEIGHTS by its name. */
export class RandomAccessFile {
  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    readonly stamp: FileStamp,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /**
   * Calls `work` with the open file, and closes it.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS, also when the file was changed meanwhile.
   */
  static async with<T>(
    path: string,
    { signal }: AccessOptions,
    work: (file: RandomAccessFile) => Promise<T>,
  ): Promise<T> {
    const whole = async () => {
      const file = await RandomAccessFile.open(path, { signal });
      try {
        const result = await work(file);
        await file.check();
        return result;
      } finally {
        await file.close();
      }
    };
    // A disk that does not answer keeps nobody waiting.
    return untilAborted(whole(), signal);
  }

  /** For more than one call; close it. */
  static async open(path: string, { signal }: AccessOptions = {}): Promise<RandomAccessFile> {
    signal?.throwIfAborted();
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, FLAGS);
      if (!(await handle.stat()).isFile()) throw invalidWeights(shorten(path), 'is no regular file');
      return new RandomAccessFile(path, handle, await stampOf(handle), signal);
    } catch (error) {
      await handle?.close();
      throw unreadable(path, error);
    }
  }

  get size(): number {
    return this.stamp.size;
  }

  /** Bytes [offset, offset + length), which must be in the file. */
  async read(offset: number, length: number): Promise<Buffer> {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) {
      throw invalidWeights(this.path, `ends before byte ${offset + length}; it is truncated or damaged`);
    }
    this.signal?.throwIfAborted();
    const bytes = Buffer.allocUnsafe(length);
    await this.fill(bytes, offset);
    return bytes;
  }

  /** @throws DeepCacheError when the file has changed since it was opened. */
  async check(): Promise<void> {
    if (!isSame(this.stamp, await stampOf(this.handle))) throw changed(this.path);
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  private async fill(bytes: Buffer, offset: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await this.handle
        .read(bytes, done, bytes.length - done, offset + done)
        .catch((error: unknown) => {
          throw unreadable(this.path, error);
        });
      if (bytesRead === 0) throw changed(this.path);
      done += bytesRead;
    }
  }
}

/** @throws DeepCacheError unless the file is what it was when it had this stamp. */
export async function checkUnchanged(path: string, stamp: FileStamp): Promise<void> {
  const file = await RandomAccessFile.open(path);
  await file.close();
  if (!isSame(file.stamp, stamp)) throw changed(path);
}

async function stampOf(handle: FileHandle): Promise<FileStamp> {
  const { size, mtimeNs } = await handle.stat({ bigint: true });
  return { size: Number(size), changed: mtimeNs };
}

function isSame(a: FileStamp, b: FileStamp): boolean {
  return a.size === b.size && a.changed === b.changed;
}

function changed(path: string): DeepCacheError {
  return invalidWeights(path, 'was changed while it was being read; try again when it is complete');
}

function unreadable(path: string, error: unknown): unknown {
  if (error instanceof DeepCacheError || !(error as NodeJS.ErrnoException).syscall) return error;
  const reason = messageOf(error).split(`, ${(error as NodeJS.ErrnoException).syscall}`, 1)[0] as string;
  return invalidWeights(shorten(path), `cannot be read: ${reason}`, { cause: error });
}
