import { invalidWeights, messageOf } from '../errors.js';
import type { RandomAccessFile } from '../files/random-access.js';
import { show } from '../messages.js';
import { PickleProblem } from './pickle/bytes.js';
import { PICKLE_LIMITS } from './pickle/machine.js';
import { runPickle } from './pickle/run.js';
import type { PickledTensor, PickleValue } from './pickle/values.js';
import { readZip, type ZipEntry } from './zip.js';

/** What torch.save wrote, as data. */
export interface TorchFile {
  readonly format: 'torch zip' | 'torch legacy';
  readonly value: PickleValue;
}

/** torch.serialization.MAGIC_NUMBER as the pickle that old files begin with. */
const LEGACY_START = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex');

export function isZip(start: Buffer): boolean {
  return start.length >= 4 && start.readUInt32LE(0) === 0x04034b50;
}

export function isLegacy(start: Buffer): boolean {
  return start.subarray(0, LEGACY_START.length).equals(LEGACY_START);
}

/**
 * Reads a file of torch.save without running anything of it.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS by the file's name.
 */
export async function readTorch(
  file: RandomAccessFile,
  format: TorchFile['format'],
  signal: AbortSignal | undefined,
): Promise<TorchFile> {
  return inWords(file.path, async () => {
    const read = format === 'torch zip' ? readTorchZip : readTorchLegacy;
    return { format, value: await read(file, signal) };
  });
}

/** `work`, whose problems become errors by the file's name. */
export async function inWords<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PickleProblem)) throw error;
    const message = messageOf(error);
    throw invalidWeights(path, message.startsWith(': ') ? message.slice(2) : message);
  }
}

// torch.save since 1.6: <name>/data.pkl, and the values of each storage in <name>/data/<key>.
async function readTorchZip(file: RandomAccessFile, signal: AbortSignal | undefined): Promise<PickleValue> {
  const entries = await readZip(file);
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const [name] = pickles;
  if (name === undefined || pickles.length > 1) {
    throw new PickleProblem('is an archive without the data.pkl of torch.save, or with several');
  }
  const root = name.slice(0, -'data.pkl'.length);
  await checkByteOrder(file, entries.get(`${root}byteorder`));
  const { offset, bytes } = entries.get(name) as ZipEntry;
  checkSize(bytes);
  const { value, tensors } = await runPickle(await file.read(offset, bytes), 0, signal);
  for (const tensor of tensors) {
    const entry = entries.get(`${root}data/${tensor.storage.key}`);
    if (!entry) throw new PickleProblem(`lacks the values of the storage ${show(tensor.storage.key)}`);
    place(tensor, file.path, entry);
  }
  return value;
}

async function checkByteOrder(file: RandomAccessFile, entry: ZipEntry | undefined): Promise<void> {
  if (!entry) return;
  const order = (await file.read(entry.offset, Math.min(entry.bytes, 16))).toString('latin1');
  if (order !== 'little')
    throw new PickleProblem(`has the byte order ${show(order)}; only little can be read`);
}

// torch.save before 1.6, one after the other: pickles of a magic number, a version, facts about the system, the object
// and the keys of its storages; then for each key the number of values and the values.
async function readTorchLegacy(
  file: RandomAccessFile,
  signal: AbortSignal | undefined,
): Promise<PickleValue> {
  const head = await file.read(0, Math.min(file.size, PICKLE_LIMITS.bytes));
  let end = 0;
  const next = async () => {
    const result = await runPickle(head, end, signal);
    end = result.end;
    return result;
  };
  await next();
  const version = (await next()).value;
  if (version !== 1001) throw new PickleProblem(`is of torch's old format ${show(version)}; 1001 is known`);
  const system = (await next()).value;
  if (system instanceof Map && system.get('little_endian') === false) {
    throw new PickleProblem('has big-endian values; only little-endian ones can be read');
  }
  const { value, tensors } = await next();
  const keys = (await next()).value;
  const storages = await legacyStorages(file, Array.isArray(keys) ? keys : [], tensors, end);
  for (const tensor of tensors) {
    const storage = storages.get(tensor.storage.key);
    if (!storage) throw new PickleProblem(`lacks the values of the storage ${show(tensor.storage.key)}`);
    place(tensor, file.path, storage);
  }
  return value;
}

async function legacyStorages(
  file: RandomAccessFile,
  keys: readonly PickleValue[],
  tensors: readonly PickledTensor[],
  start: number,
): Promise<Map<PickleValue, { offset: number; bytes: number }>> {
  const sizes = new Map(tensors.map(({ storage }) => [storage.key, storage.valueBytes]));
  const found = new Map<PickleValue, { offset: number; bytes: number }>();
  let at = start;
  for (const key of keys) {
    const each = sizes.get(key as string);
    // Without its type, where the next one begins is not known.
    if (each === undefined || found.has(key))
      throw new PickleProblem(`has a storage ${show(key)} of no tensor`);
    const values = (await file.read(at, 8)).readBigUInt64LE(0);
    const bytes = Number(values) * each;
    if (!(bytes <= file.size - at - 8))
      throw new PickleProblem('ends within its values; it is truncated or damaged');
    found.set(key, { offset: at + 8, bytes });
    at += 8 + bytes;
  }
  return found;
}

function place(
  tensor: PickledTensor,
  path: string,
  { offset, bytes }: { offset: number; bytes: number },
): void {
  const { storage, start } = tensor;
  if (storage.start + storage.bytes > bytes) {
    throw new PickleProblem(
      `has too few values of the storage ${show(storage.key)}; it is truncated or damaged`,
    );
  }
  tensor.file = path;
  tensor.offset = offset + storage.start + start;
}

function checkSize(bytes: number): void {
  if (bytes > PICKLE_LIMITS.bytes) {
    throw new PickleProblem(`has a data.pkl of ${bytes} bytes; at most ${PICKLE_LIMITS.bytes} are read`);
  }
}
