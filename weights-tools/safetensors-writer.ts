import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface OutputTensor {
  name: string;
  dtype: string;
  shape: readonly number[];
  bytes: number;
}

/**
 * Writes a safetensors file tensor by tensor, in the order they were announced in, so that only one is in memory. The
 * file appears under its name when it is complete.
 */
export class SafetensorsWriter {
  private constructor(
    private readonly path: string,
    private readonly part: string,
    private readonly file: FileHandle,
  ) {}

  static async create(
    path: string,
    tensors: readonly OutputTensor[],
    metadata: Readonly<Record<string, string>>,
  ): Promise<SafetensorsWriter> {
    let end = 0;
    const entries = tensors.map(({ name, dtype, shape, bytes }) => {
      const start = end;
      end += bytes;
      return [name, { dtype, shape, data_offsets: [start, end] }];
    });
    const isEmpty = Object.keys(metadata).length === 0;
    const header = JSON.stringify({
      ...(!isEmpty && { __metadata__: metadata }),
      ...Object.fromEntries(entries),
    });
    // Spaces align the values to 8 bytes.
    const text = Buffer.from(header.padEnd(header.length + ((8 - (Buffer.byteLength(header) % 8)) % 8)));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    // Nobody can guess the name and put a link in its place.
    const part = join(dirname(path), `.${randomBytes(8).toString('hex')}.part`);
    const writer = new SafetensorsWriter(path, part, await open(part, 'wx'));
    try {
      await writer.write(length);
      await writer.write(text);
    } catch (error) {
      await writer.abandon();
      throw error;
    }
    return writer;
  }

  /** The values of the next tensor. */
  async write(bytes: Uint8Array): Promise<void> {
    // Not file.write, which may write less than it was given.
    await this.file.appendFile(bytes);
  }

  async finish(): Promise<void> {
    await this.file.sync();
    await this.file.close();
    await rename(this.part, this.path);
  }

  /** Leaves no file behind. */
  async abandon(): Promise<void> {
    await this.file.close().catch(() => {});
    await rm(this.part, { force: true });
  }
}
