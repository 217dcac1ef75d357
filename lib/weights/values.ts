import { type AccessOptions, type FileStamp, RandomAccessFile } from '../files/random-access.js';
import { BITS, type StoredTensor } from './stored-tensor.js';

/** Reads values of tensors; each file is opened once. */
export class StoredValues {
  readonly #files = new Map<string, Promise<RandomAccessFile>>();

  private constructor(private readonly options: AccessOptions) {}

  /** Calls `work`, and closes the files. */
  static async with<T>(options: AccessOptions, work: (values: StoredValues) => Promise<T>): Promise<T> {
    const values = new StoredValues(options);
    try {
      return await work(values);
    } finally {
      const opened = await Promise.allSettled(values.#files.values());
      await Promise.all(opened.map((file) => (file.status === 'fulfilled' ? file.value.close() : undefined)));
    }
  }

  /**
   * All bytes of a tensor, in the order of its shape.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS when the file was changed since it was first read.
   */
  async read(tensor: StoredTensor): Promise<Buffer> {
    const file = await this.#open(tensor.file);
    const bytes = await file.read(tensor.offset, tensor.bytes);
    await file.check();
    return tensor.transposed ? transpose(bytes, tensor) : bytes;
  }

  /** What the file was when it was opened. */
  async stampOf(path: string): Promise<FileStamp> {
    return (await this.#open(path)).stamp;
  }

  #open(path: string): Promise<RandomAccessFile> {
    const file = this.#files.get(path) ?? RandomAccessFile.open(path, this.options);
    this.#files.set(path, file);
    return file;
  }
}

/** The values of an [in, out] as those of an [out, in], which `shape` is. */
export function transpose(bytes: Buffer, { shape, dtype }: Pick<StoredTensor, 'shape' | 'dtype'>): Buffer {
  const [rows, columns] = shape as readonly [number, number];
  const size = BITS[dtype as keyof typeof BITS] / 8;
  const out = Buffer.allocUnsafe(bytes.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const from = (c * rows + r) * size;
      bytes.copy(out, (r * columns + c) * size, from, from + size);
    }
  }
  return out;
}
