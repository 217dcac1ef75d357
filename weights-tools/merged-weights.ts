import { resolve } from 'node:path';
import { ModuleTable } from '../lib/adapters/module-table.js';
import type { PartName, PartShapes } from '../lib/adapters/part.js';
import { type AdapterFile, readAdapter } from '../lib/adapters/read.js';
import type { LoraScale } from '../lib/adapters/scale.js';
import { type AdapterUse, stateOf } from '../lib/adapters/weight-state.js';
import { DeepCacheError, invalidWeights } from '../lib/errors.js';
import { checkUnchanged, type FileStamp } from '../lib/files/random-access.js';
import { NETWORKS } from '../lib/models/single-file/network.js';
import type { AdapterTerm } from '../lib/native/adapter-terms.js';
import { native } from '../lib/native/binding.js';
import { finish } from '../lib/native/device.js';
import type { ModelIndex } from '../lib/pipelines/loading/parts.js';
import type { StoredTensor } from '../lib/weights/stored-tensor.js';
import { transpose } from '../lib/weights/values.js';
import { type FloatType, isWritten } from './dtypes.js';
import { type ModelPart, networksOf, type PartOptions, readWholePart } from './model-parts.js';
import type { Task } from './run-tasks.js';
import type { Piece } from './write-weights.js';

/** An adapter to merge. */
export interface MergedLora {
  readonly file: string;
  readonly scale: LoraScale;
}

interface MergeOptions extends PartOptions {
  /** What is going to be written; by default as stored. */
  dtype?: FloatType | undefined;
}

interface Merged {
  readonly tensor: StoredTensor;
  readonly terms: readonly AdapterTerm[];
}

const ADAPTED: readonly string[] = ['unet', 'text_encoder', 'text_encoder_2'];

/** The weights of a model that adapters change. */
export class MergedWeights {
  /** The adapters' files, in the order in which they were given. */
  readonly files: readonly AdapterFile[];
  /** By where they lie: layouts have other names for them. */
  readonly #merged: ReadonlyMap<string, Merged>;
  readonly #stamps: ReadonlyMap<string, FileStamp>;
  readonly #signal: AbortSignal | undefined;

  private constructor(
    files: readonly AdapterFile[],
    merged: ReadonlyMap<string, Merged>,
    stamps: ReadonlyMap<string, FileStamp>,
    signal: AbortSignal | undefined,
  ) {
    this.files = files;
    this.#merged = merged;
    this.#stamps = stamps;
    this.#signal = signal;
  }

  /**
   * Reads what adapters do to a model; no values yet.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS for an adapter of another kind of model, and for weights of a
   * type that cannot be written; ERR_DEEPCACHE_UNSUPPORTED for a model that takes no adapters.
   */
  static async read(
    { source, value }: ModelIndex,
    loras: readonly MergedLora[],
    { dtype, ...options }: MergeOptions,
  ): Promise<MergedWeights> {
    const names = networksOf(source, value).filter((name) => ADAPTED.includes(name));
    if (!names.includes('unet') || names.length === 1) {
      const message = `${source.place}: takes no adapters, which are for Stable Diffusion and SDXL`;
      throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', message);
    }
    const parts = await Promise.all(names.map((name) => readWholePart(source, name, options)));
    const table = new ModuleTable(parts.map(shapesOf));
    const uses: AdapterUse[] = [];
    for (const [id, { file, scale }] of loras.entries()) {
      uses.push({ file: await readAdapter(file, table, options.signal), scale, id });
    }
    const files = uses.map(({ file }) => file);
    const stamps = new Map(parts.flatMap((part) => [...part.stamps]));
    for (const { path, stamp } of files) stamps.set(path, stamp);
    return new MergedWeights(files, mergedOf(parts, uses, dtype), stamps, options.signal);
  }

  /** How many there are. */
  get count(): number {
    return this.#merged.size;
  }

  /** What is to be written of the model, with the adapters in it. */
  in(tasks: readonly Task[]): Task[] {
    const found = new Set<string>();
    const changed = (piece: Piece): Piece => {
      const place = placeOf(piece);
      const merged = this.#merged.get(place);
      if (!merged) return piece;
      found.add(place);
      return { ...piece, compute: () => this.#compute(merged, piece) };
    };
    const all = tasks.map((task) => ({
      ...task,
      tensors: task.tensors.map((tensor) => ({ ...tensor, pieces: tensor.pieces.map(changed) })),
    }));
    const lost = [...this.#merged].find(([place]) => !found.has(place))?.[1].tensor;
    if (lost) throw invalidWeights(lost.file, `"${lost.name}" is not among the weights that are written`);
    return all;
  }

  async #compute({ tensor, terms }: Merged, piece: Piece): Promise<ArrayBuffer> {
    const values = await finish(() => native().adaptedTensor(tensor, terms), this.#signal);
    const factors = terms.flatMap((term) => Object.values(term.tensors).map(({ file }) => file));
    for (const file of new Set([tensor.file, ...factors])) {
      const stamp = this.#stamps.get(file);
      if (stamp) await checkUnchanged(file, stamp);
    }
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    const isTurned = Boolean(piece.transposed) !== Boolean(tensor.transposed);
    return Uint8Array.from(isTurned ? transpose(bytes, { shape: piece.shape, dtype: 'F32' }) : bytes).buffer;
  }
}

function shapesOf({ name, network }: ModelPart): PartShapes {
  const kind = NETWORKS[name]?.kind ?? 'unet';
  return {
    part: name as PartName,
    config: network.config,
    weightShapes: () => native().weightShapes(kind, network.configText),
  };
}

function mergedOf(
  parts: readonly ModelPart[],
  uses: readonly AdapterUse[],
  dtype: FloatType | undefined,
): Map<string, Merged> {
  const merged = new Map<string, Merged>();
  for (const { name, network, tensors } of parts) {
    const byName = new Map(tensors.map((tensor) => [tensor.name, tensor] as const));
    for (const [weight, { terms }] of stateOf(name as PartName, uses)) {
      const tensor = byName.get(weight);
      if (!tensor) throw invalidWeights(network.place, `has no weight "${weight}"`);
      if (!isWritten(dtype ?? tensor.dtype)) {
        const message = `"${weight}" is ${tensor.dtype}, in which changed values are not written; give --dtype`;
        throw invalidWeights(tensor.file, message);
      }
      merged.set(placeOf(tensor), { tensor, terms });
    }
  }
  const seen = new Map<string, string>();
  for (const { file, name, offset } of parts.flatMap(({ tensors }) => tensors)) {
    const place = placeOf({ file, offset });
    const other = seen.get(place);
    seen.set(place, name);
    // One cannot be told from the other when it is written.
    if (other === undefined || !merged.has(place)) continue;
    throw new DeepCacheError(
      'ERR_DEEPCACHE_UNSUPPORTED',
      `${file}: "${name}" and "${other}" have the same values in it, of which an adapter changes one; convert it first`,
    );
  }
  return merged;
}

function placeOf({ file, offset }: Pick<StoredTensor, 'file' | 'offset'>): string {
  return `${offset} ${resolve(file)}`;
}
