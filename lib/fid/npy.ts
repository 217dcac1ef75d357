import { invalidWeights } from '../errors.js';
import { show } from '../messages.js';

// NumPy's format 1.0 to 3.0 (numpy.lib.format): a magic text, a version, the length of a header, the header as a Python
// dictionary, then the values.

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
/** Of real ones about 120 bytes. */
const LONGEST_HEADER = 4096;
/** A header ends where values may be aligned so. */
const ALIGNMENT = 64;

/** An array of a file. */
export interface NpyArray {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/**
 * Reads an array of little-endian floats.
 *
 * @param name of the file, and of the array in it.
 * @param shape that it must have.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS by that name.
 */
export function parseNpy(
  { file, entry }: { file: string; entry: string },
  bytes: Buffer,
  shape: readonly number[],
): Float64Array {
  const fail = (message: string) => invalidWeights(file, `${show(entry)} in it ${message}`);
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC) || bytes.length < 12) throw fail('is no array of NumPy');
  const version = bytes[MAGIC.length] as number;
  if (version < 1 || version > 3) throw fail(`is of the format ${version}, which is not known`);
  const start = version === 1 ? 10 : 12;
  const length = version === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8);
  if (length > LONGEST_HEADER || start + length > bytes.length) throw fail('has a damaged header');
  const header = bytes.toString('latin1', start, start + length);
  const descr = /'descr':\s*'([^']{1,16})'/.exec(header)?.[1];
  const order = /'fortran_order':\s*(True|False)/.exec(header)?.[1];
  const extents = /'shape':\s*\(([\d,\s]{0,200})\)/.exec(header)?.[1];
  if (descr === undefined || order === undefined || extents === undefined) throw fail('has a damaged header');
  if (descr !== '<f8' && descr !== '<f4') throw fail(`has values of the type ${show(descr)}, not of floats`);
  const found = extents.split(',').flatMap((text) => (text.trim() === '' ? [] : [Number(text)]));
  if (found.join() !== shape.join()) {
    throw fail(`has the shape (${found.join(', ')}), not (${shape.join(', ')})`);
  }
  const each = descr === '<f8' ? 8 : 4;
  const count = shape.reduce((product, extent) => product * extent, 1);
  const values = bytes.subarray(start + length);
  if (values.length !== count * each) throw fail(`has ${values.length} bytes of values, not ${count * each}`);
  const data = new Float64Array(count);
  const read = each === 8 ? (at: number) => values.readDoubleLE(at) : (at: number) => values.readFloatLE(at);
  // Columns first is the same matrix transposed.
  const [rows = 1, columns = 1] = order === 'True' ? shape : [1, count];
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++)
      data[i * columns + j] = read(each * (order === 'True' ? j * rows + i : j));
  if (!data.every(Number.isFinite)) throw fail('has values that are no finite numbers');
  return data;
}

/** The bytes of such a file. */
export function toNpy({ shape, data }: NpyArray): Buffer {
  const extents = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '<f8', 'fortran_order': False, 'shape': (${extents}), }`;
  const start = MAGIC.length + 4;
  const padded = Math.ceil((start + text.length + 1) / ALIGNMENT) * ALIGNMENT - start;
  const out = Buffer.alloc(start + padded + 8 * data.length);
  MAGIC.copy(out);
  out[MAGIC.length] = 1;
  out.writeUInt16LE(padded, MAGIC.length + 2);
  out.write(`${text.padEnd(padded - 1)}\n`, start, 'latin1');
  for (const [i, value] of data.entries()) out.writeDoubleLE(value, start + padded + 8 * i);
  return out;
}
