import { DeepCacheError, invalidArgument } from '../errors.js';
import { newFloats } from '../tensor.js';
import { StoredValues } from '../weights/values.js';
import { Checkpoint } from './single-file/checkpoint.js';
import { widen } from './widen.js';

const TENSOR = 'cond_stage_model.embedding.weight';

/** Latent diffusion's ClassEmbedder: a vector for each class, which the U-Net reads as a context of one token. */
export class ClassEmbedder {
  private constructor(
    private readonly table: Float32Array,
    /** Classes in all; the last one stands for "no class", for guidance. */
    readonly classes: number,
    readonly width: number,
  ) {}

  /** @internal Reads the table of a checkpoint. */
  static async load(
    files: readonly string[],
    { classes, width, signal }: { classes: number; width: number; signal?: AbortSignal | undefined },
  ): Promise<ClassEmbedder> {
    for (const path of files) {
      const found = (await Checkpoint.open(path, { signal })).find(TENSOR);
      if (!found) continue;
      if (found.shape.length !== 2 || found.shape[0] !== classes || found.shape[1] !== width) {
        const message = `${path}: ${TENSOR} has shape [${found.shape}], the configuration says [${classes},${width}]`;
        throw new DeepCacheError('ERR_DEEPCACHE_INVALID_WEIGHTS', message);
      }
      const bytes = await StoredValues.with({ signal }, (values) => values.read(found));
      const table = widen(new Uint8Array(bytes).buffer, found.dtype, `${path}: ${TENSOR}`);
      if (!table.every(Number.isFinite)) {
        const message = `${path}: ${TENSOR} holds values that are not numbers, or infinite`;
        throw new DeepCacheError('ERR_DEEPCACHE_NOT_FINITE', message);
      }
      return new ClassEmbedder(table, classes, width);
    }
    throw new DeepCacheError('ERR_DEEPCACHE_INVALID_WEIGHTS', `${files.join(', ')} lacks tensor "${TENSOR}"`);
  }

  /** The class that stands for none. */
  get unconditional(): number {
    return this.classes - 1;
  }

  /** Vectors [n, 1, width] of the classes. */
  embed(labels: readonly number[]): Float32Array {
    const out = newFloats(labels.length * this.width);
    for (const [i, label] of labels.entries()) {
      if (!Number.isInteger(label) || label < 0 || label >= this.classes) {
        throw invalidArgument(
          `classLabels[${i}]`,
          `must be a class from 0 to ${this.classes - 1}, got ${label}`,
        );
      }
      out.set(this.table.subarray(label * this.width, (label + 1) * this.width), i * this.width);
    }
    return out;
  }
}
