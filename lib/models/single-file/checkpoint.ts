import { DeepCacheError } from '../../errors.js';
import type { FileStamp } from '../../files/random-access.js';
import { shorten } from '../../messages.js';
import type { TensorShape, TensorSource } from '../../native/types.js';
import { openWeights, PICKLE } from '../../weights/open.js';
import type { StoredTensor, WeightsFile } from '../../weights/stored-tensor.js';
import type { NetworkFiles } from '../model-files.js';
import type { JsonPart } from '../part-source.js';
import { averagedKey, type Naming, type Place } from './place.js';

/** What training code puts before all names, and PyTorch's compiler before those of a compiled module. */
const WRAPPERS = /^(?:(?:module|state_dict|_orig_mod)\.)+|\b_orig_mod\./g;

/** Missing tensors that a message names. */
const SHOWN = 3;

/** A file of weights: its tensors by their names, without those of wrappers. */
export class Checkpoint {
  readonly #tensors = new Map<string, StoredTensor>();

  constructor(
    readonly path: string,
    tensors: readonly StoredTensor[],
    private readonly file?: Pick<WeightsFile, 'format' | 'stamp'>,
  ) {
    for (const tensor of tensors) this.#tensors.set(tensor.name.replace(WRAPPERS, ''), tensor);
  }

  /** @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS, ERR_DEEPCACHE_UNSUPPORTED for files of other kinds. */
  static async open(path: string, options: { signal?: AbortSignal | undefined } = {}): Promise<Checkpoint> {
    const file = await openWeights(path, options);
    return new Checkpoint(path, file.tensors, file);
  }

  /** What the file was when its tables were read. */
  get stamps(): ReadonlyMap<string, FileStamp> {
    return new Map(this.file ? [[this.path, this.file.stamp]] : []);
  }

  /** A network whose configuration and tensors are known. */
  network({ path, text, value }: JsonPart, tensors: readonly TensorSource[]): NetworkFiles {
    return {
      place: this.path,
      configFile: path,
      configText: text,
      config: value,
      files: [this.path],
      tensors,
      stamps: this.stamps,
    };
  }

  /** What the log should hear of the file. */
  get remark(): string | undefined {
    return this.file && this.file.format !== 'safetensors' ? PICKLE : undefined;
  }

  get names(): Iterable<string> {
    return this.#tensors.keys();
  }

  get tensors(): Iterable<readonly [name: string, tensor: StoredTensor]> {
    return this.#tensors;
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** Whether the name of a tensor begins so. */
  hasPrefix(prefix: string): boolean {
    for (const name of this.#tensors.keys()) if (name.startsWith(prefix)) return true;
    return false;
  }

  /** Whether the name of a tensor is like this. */
  some(pattern: RegExp): boolean {
    for (const name of this.#tensors.keys()) if (pattern.test(name)) return true;
    return false;
  }

  find(name: string): StoredTensor | undefined {
    return this.#tensors.get(name);
  }

  /**
   * All tensors under their own names.
   *
   * @param useEma takes the running means for those that have some.
   */
  all({ useEma }: { useEma: boolean }): TensorSource[] {
    return [...this.#tensors].flatMap(([name, tensor]) => {
      const mean = useEma ? this.find(averagedKey(name)) : undefined;
      const { file, dtype, shape, offset, transposed } = mean ?? tensor;
      return { name, file, dtype, shape, offset, transposed };
    });
  }

  /**
   * Where the tensors of a network lie.
   *
   * @param what the network, for messages.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS naming those that are missing.
   */
  tableOf(wanted: readonly TensorShape[], naming: Naming, what: string): TensorSource[] {
    const table: TensorSource[] = [];
    const missing: string[] = [];
    for (const { name, shape } of wanted) {
      const place = naming(name);
      const stored = this.find(place.key);
      if (stored) table.push(sourceOf(name, shape, stored, place));
      else missing.push(`${shorten(place.key)} (${name})`);
    }
    if (missing.length === 0) return table;
    const more = missing.length > SHOWN ? ` and ${missing.length - SHOWN} more` : '';
    throw new DeepCacheError(
      'ERR_DEEPCACHE_INVALID_WEIGHTS',
      `${this.path}: its ${what} lacks ${missing.slice(0, SHOWN).join(', ')}${more}, which the configuration asks for`,
    );
  }
}

/** What of a stored tensor is the wanted one. Shapes that do not fit stay as they are, for the model's own message. */
function sourceOf(
  name: string,
  wanted: readonly number[],
  { file, dtype, shape, offset, bytes, transposed = false }: StoredTensor,
  { op, part = 0 }: Place,
): TensorSource {
  const source = { name, file, dtype, shape, offset, transposed };
  const [rows = 0, ...rest] = shape;
  switch (op) {
    case 'transpose':
      if (shape.length !== 2) return source;
      return { ...source, shape: [...shape].reverse(), transposed: !transposed };
    case 'squeeze_hw':
      return shape.slice(2).every((extent) => extent === 1)
        ? { ...source, shape: shape.slice(0, 2) }
        : source;
    case 'concat_rows':
      // Rows of what lies there the other way round are not one piece.
      if (transposed || rows !== 3 * (wanted[0] ?? 0)) return source;
      return { ...source, shape: [rows / 3, ...rest], offset: offset + (bytes / 3) * part };
    default:
      return source;
  }
}
