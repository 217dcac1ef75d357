import { invalidWeights } from '../lib/errors.js';
import type { FileStamp } from '../lib/files/random-access.js';
import type { NetworkFiles } from '../lib/models/model-files.js';
import type { PartSource } from '../lib/models/part-source.js';
import { NETWORKS } from '../lib/models/single-file/network.js';
import { native } from '../lib/native/binding.js';
import type { TensorSource } from '../lib/native/types.js';
import { openWeights } from '../lib/weights/open.js';
import { BITS, type StoredTensor } from '../lib/weights/stored-tensor.js';
import type { PlannedTensor } from './write-weights.js';

/** A network of a model, with all its tensors under diffusers' names. */
export interface ModelPart {
  /** Its folder's name. */
  readonly name: string;
  readonly network: NetworkFiles;
  readonly tensors: readonly StoredTensor[];
  /** Names of those that its configuration asks for and its files lack. */
  readonly missing: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  /** What the files were when the tables were read. */
  readonly stamps: ReadonlyMap<string, FileStamp>;
}

export interface PartOptions {
  variant?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** The networks that a model_index.json names and this package computes. */
export function networksOf(source: PartSource, index: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(NETWORKS).filter((name) => {
    const entry = index[name];
    return Array.isArray(entry) && typeof entry[1] === 'string' && source.has(name);
  });
}

/** Reads the tables of a network. */
export async function readPart(source: PartSource, name: string, options: PartOptions): Promise<ModelPart> {
  const network = await source.network(name, options);
  if (network.tensors) {
    const { tensors, stamps = new Map() } = network;
    return { name, network, tensors: tensors.map(storedOf), missing: [], metadata: {}, stamps };
  }
  const files = await Promise.all(network.files.map((path) => openWeights(path, options)));
  const tensors = files.flatMap((file) => file.tensors);
  const metadata = Object.assign({}, ...files.map((file) => file.metadata));
  const stamps = new Map(files.map(({ path, stamp }) => [path, stamp]));
  return { name, network, ...underPresentNames(name, network, tensors), metadata, stamps };
}

/**
 * The same of a network that is going to be written: whole, as it could be loaded.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS naming what its files lack.
 */
export async function readWholePart(
  source: PartSource,
  name: string,
  options: PartOptions,
): Promise<ModelPart> {
  const part = await readPart(source, name, options);
  const { missing } = part;
  if (missing.length === 0) return part;
  const names = missing.slice(0, 3).map((tensor) => `"${tensor}"`);
  const more = missing.length > 3 ? ` and ${missing.length - 3} more` : '';
  throw invalidWeights(
    part.network.place,
    `lacks the tensors ${names.join(', ')}${more}, which its configuration asks for`,
  );
}

/** Files of older versions, and of wrapped models, have other names for the same. */
function underPresentNames(
  part: string,
  { configText }: NetworkFiles,
  tensors: readonly StoredTensor[],
): Pick<ModelPart, 'tensors' | 'missing'> {
  const kind = NETWORKS[part]?.kind;
  if (!kind) return { tensors, missing: [] };
  const wanted = native()
    .weightShapes(kind, configText)
    .map(({ name }) => name);
  const stored = native().matchTensors(
    tensors.map(({ name }) => name),
    wanted,
  );
  const present = new Map(stored.map((name, i) => [name, wanted[i] as string]));
  return {
    tensors: tensors.map((tensor) => ({ ...tensor, name: present.get(tensor.name) ?? tensor.name })),
    missing: wanted.filter((_, i) => stored[i] === undefined),
  };
}

/** The tensor itself, as it will be written. */
export function plain(tensor: StoredTensor): PlannedTensor {
  return { name: tensor.name, shape: tensor.shape, pieces: [tensor] };
}

function storedOf(source: TensorSource): StoredTensor {
  const bits = Object.hasOwn(BITS, source.dtype) ? BITS[source.dtype as keyof typeof BITS] : 0;
  return { ...source, bytes: source.shape.reduce((a, b) => a * b, bits / 8) };
}
