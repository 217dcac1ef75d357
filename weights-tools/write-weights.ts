import { basename } from 'node:path';
import { DeepCacheError } from '../lib/errors.js';
import { writeFileAtomic } from '../lib/files/atomic-write.js';
import { readJson } from '../lib/files/json.js';
import { LIMITS } from '../lib/files/read.js';
import { isFloatType, type StoredFloat } from '../lib/weights/floats.js';
import { BITS, type StoredTensor } from '../lib/weights/stored-tensor.js';
import { StoredValues } from '../lib/weights/values.js';
import { convertValues, type FloatType, isWritten } from './dtypes.js';
import { SafetensorsWriter } from './safetensors-writer.js';

/** Values that a file holds, or others that are written in their place. */
export interface Piece extends StoredTensor {
  /** Computes these others: bytes of fp32 values in the order of `shape`. The dtype is what they are written in. */
  readonly compute?: (() => Promise<ArrayBuffer>) | undefined;
}

/** A tensor to write, and what it is made of: the rows of stored ones, one after the other. */
export interface PlannedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly pieces: readonly Piece[];
}

export interface WriteOptions {
  /** What floating point values are written in; by default as they are stored. */
  dtype?: FloatType | undefined;
  metadata?: Readonly<Record<string, string>> | undefined;
  /** Bytes of values in a file; by default all in one. A single tensor may have more. */
  shardBytes?: number | undefined;
  /** Bytes written and in all. */
  onProgress?: ((done: number, total: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

interface Announced extends PlannedTensor {
  dtype: string;
  bytes: number;
}

/**
 * Writes tensors to a safetensors file, or to shards and their index, a tensor at a time; one of them is in memory.
 * Files appear under their names when they are complete.
 *
 * @returns the files and the bytes of their values.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS for names that occur twice, float types that cannot be converted,
 * values beyond the range of the new type, and files that change meanwhile.
 */
export async function writeWeights(
  path: string,
  tensors: readonly PlannedTensor[],
  options: WriteOptions = {},
): Promise<{ files: string[]; bytes: number }> {
  const { dtype, metadata = {}, shardBytes = Number.POSITIVE_INFINITY, signal } = options;
  const announced = announce(tensors, dtype);
  const total = announced.reduce((sum, { bytes }) => sum + bytes, 0);
  const shards = split(announced, shardBytes);
  const files = shards.map((_, i) => shardName(path, i, shards.length));
  let done = 0;
  await StoredValues.with({ signal }, async (values) => {
    for (const [i, shard] of shards.entries()) {
      const writer = await SafetensorsWriter.create(files[i] as string, shard, metadata);
      try {
        for (const tensor of shard) {
          for (const piece of tensor.pieces) {
            signal?.throwIfAborted();
            await writer.write(await valuesOf(piece, values, dtype));
          }
          done += tensor.bytes;
          options.onProgress?.(done, total);
        }
        await writer.finish();
      } catch (error) {
        await writer.abandon();
        throw error;
      }
    }
  });
  if (shards.length > 1) files.push(await writeIndex(path, shards, files, total));
  return { files, bytes: total };
}

/** The files that {@link writeWeights} makes; throws as it does for tensors that cannot be written. */
export function weightFiles(
  path: string,
  tensors: readonly PlannedTensor[],
  { dtype, shardBytes = Number.POSITIVE_INFINITY }: Pick<WriteOptions, 'dtype' | 'shardBytes'>,
): string[] {
  const { length: count } = split(announce(tensors, dtype), shardBytes);
  const files = Array.from({ length: count }, (_, i) => shardName(path, i, count));
  return count > 1 ? [...files, indexName(path)] : files;
}

/** The tensors as they will be written. */
function announce(tensors: readonly PlannedTensor[], to: FloatType | undefined): Announced[] {
  const names = new Set<string>();
  return tensors.map((tensor) => {
    const [first] = tensor.pieces as readonly [StoredTensor];
    if (names.has(tensor.name)) throw fail(first, 'is in another file too');
    names.add(tensor.name);
    const other = tensor.pieces.find(({ dtype }) => dtype !== first.dtype);
    if (other) throw fail(other, `is ${other.dtype}, and ${first.name}, which belongs to it, ${first.dtype}`);
    const stored = tensor.pieces.reduce((sum, { bytes }) => sum + bytes, 0);
    if (to === undefined || !isFloatType(first.dtype)) {
      // Whole numbers and flags are not weights; other floats are, and would stay behind.
      if (to !== undefined && /^(F|C|BF)\d/.test(first.dtype))
        throw fail(first, `is ${first.dtype}, which cannot be converted`);
      return { ...tensor, dtype: first.dtype, bytes: stored };
    }
    return { ...tensor, dtype: to, bytes: (stored / BITS[first.dtype]) * BITS[to] };
  });
}

function split(tensors: readonly Announced[], most: number): Announced[][] {
  const shards: Announced[][] = [[]];
  let bytes = 0;
  for (const tensor of tensors) {
    if (bytes > 0 && bytes + tensor.bytes > most) {
      shards.push([]);
      bytes = 0;
    }
    (shards.at(-1) as Announced[]).push(tensor);
    bytes += tensor.bytes;
  }
  return shards;
}

/** "model.safetensors", or "model-00001-of-00003.safetensors". */
function shardName(path: string, index: number, count: number): string {
  if (count === 1) return path;
  const digits = (value: number) => String(value).padStart(5, '0');
  return path.replace(/(?=\.safetensors$)/i, `-${digits(index + 1)}-of-${digits(count)}`);
}

/** The list of shards that stand for a file of this name. */
export function indexName(path: string): string {
  return `${path}.index.json`;
}

/** The names of shards that a list written here has; none of one that is not there, or that somebody else wrote. */
export async function shardsOf(index: string): Promise<string[]> {
  const { value } = await readJson(index, { max: LIMITS.index }).catch(() => ({ value: {} }));
  const map: unknown = Reflect.get(value, 'weight_map');
  if (typeof map !== 'object' || map === null) return [];
  const stem = basename(index).replace(/\.safetensors\.index\.json$/i, '-');
  return [...new Set<unknown>(Object.values(map))].filter(
    (name): name is string =>
      typeof name === 'string' &&
      name.startsWith(stem) &&
      /^\d{5}-of-\d{5}\.safetensors$/i.test(name.slice(stem.length)),
  );
}

async function writeIndex(
  path: string,
  shards: readonly Announced[][],
  files: readonly string[],
  total: number,
): Promise<string> {
  const map = shards.flatMap((shard, i) => shard.map(({ name }) => [name, basename(files[i] as string)]));
  const index = indexName(path);
  const value = { metadata: { total_size: total }, weight_map: Object.fromEntries(map) };
  await writeFileAtomic(index, `${JSON.stringify(value, null, 2)}\n`);
  return index;
}

async function valuesOf(
  piece: Piece,
  stored: StoredValues,
  wanted: FloatType | undefined,
): Promise<Uint8Array> {
  const { dtype, compute } = piece;
  const to = wanted ?? dtype;
  if (compute) {
    if (!isWritten(to)) throw fail(piece, `is ${to}, in which changed values are not written; give --dtype`);
    return convert(piece, await compute(), 'F32', to);
  }
  const data = await stored.read(piece);
  if (to === dtype || !isFloatType(dtype) || !isWritten(to)) return data;
  return convert(piece, Uint8Array.from(data).buffer, dtype, to);
}

function convert(piece: Piece, data: ArrayBuffer, from: StoredFloat, to: FloatType): Uint8Array {
  const { bytes, overflows } = convertValues(data, from, to);
  if (overflows === 0) return bytes;
  const advice = to === 'F16' ? '; bf16 has the range of fp32' : '';
  throw fail(piece, `has ${overflows} values beyond the range of ${to}${advice}`);
}

function fail({ file, name }: StoredTensor, message: string): DeepCacheError {
  return new DeepCacheError('ERR_DEEPCACHE_INVALID_WEIGHTS', `${file}: tensor "${name}" ${message}`);
}
