import { promisify } from 'node:util';
import { crc32, inflateRaw } from 'node:zlib';
import { invalidWeights } from '../errors.js';
import { writeFileAtomic } from '../files/atomic-write.js';
import { type AccessOptions, RandomAccessFile } from '../files/random-access.js';
import { readZip, type ZipEntry } from '../weights/zip.js';
import { parseNpy, toNpy } from './npy.js';
import type { FeatureStatistics } from './statistics.js';

// What pytorch-fid writes and reads: an archive of two arrays, as numpy.savez and numpy.savez_compressed make it.

const NPZ = { writer: 'NumPy (.npz)', deflated: true };
/** Bytes of an array before its values. */
const MOST_BEFORE = 2 ** 13;
const DOUBLE = 8;

/**
 * Reads the statistics of a set of pictures: `mu` [width] and `sigma` [width, width] of a .npz file. Other arrays in it are
 * left alone.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS by the file's name.
 */
export async function readStatistics(
  path: string,
  width: number,
  { signal }: AccessOptions = {},
): Promise<FeatureStatistics> {
  return RandomAccessFile.with(path, { signal }, async (file) => {
    const entries = await readZip(file, NPZ);
    const read = async (name: string, shape: readonly number[]) => {
      const entry = entries.get(`${name}.npy`);
      if (!entry) throw invalidWeights(path, `lacks the array ${JSON.stringify(name)} of pytorch-fid`);
      const most = MOST_BEFORE + DOUBLE * shape.reduce((product, extent) => product * extent, 1);
      return parseNpy({ file: path, entry: name }, await unpack(file, entry, most), shape);
    };
    const mu = await read('mu', [width]);
    const sigma = await read('sigma', [width, width]);
    checkCovariance(path, sigma, width);
    return { mu, sigma };
  });
}

/** Writes statistics where pytorch-fid reads them. */
export async function writeStatistics(path: string, statistics: FeatureStatistics): Promise<void> {
  await writeFileAtomic(path, statisticsFile(statistics));
}

/** The bytes of such a file, its arrays as they are. */
export function statisticsFile({ mu, sigma }: FeatureStatistics): Buffer {
  const width = mu.length;
  return zip([
    ['mu.npy', toNpy({ shape: [width], data: mu })],
    ['sigma.npy', toNpy({ shape: [width, width], data: sigma })],
  ]);
}

async function unpack(file: RandomAccessFile, entry: ZipEntry, most: number): Promise<Buffer> {
  const { name, offset, bytes, unpacked } = entry;
  const fail = () => invalidWeights(file.path, `has an array ${name} that is damaged, or not of FID's size`);
  // Deflating makes nothing a thousandth larger.
  if (bytes > most * 1.001 + 64 || (unpacked ?? bytes) > most) throw fail();
  const stored = await file.read(offset, bytes);
  if (unpacked === undefined) return stored;
  const whole = await promisify(inflateRaw)(stored, { maxOutputLength: unpacked + 1 }).catch(() => undefined);
  if (whole?.length !== unpacked) throw fail();
  return whole;
}

/** Rounding may leave a value and its mirror image apart by a little. */
const MOST_APART = 1e-4;

function checkCovariance(path: string, sigma: Float64Array, width: number): void {
  const at = (i: number, j: number) => sigma[i * width + j] as number;
  for (let i = 0; i < width; i++) {
    const isFine = Array.from({ length: i }, (_, j) => {
      const limit = MOST_APART * Math.sqrt(at(i, i) * at(j, j)) + Number.EPSILON;
      return Math.abs(at(i, j) - at(j, i)) <= limit;
    });
    if (!(at(i, i) >= 0) || isFine.includes(false))
      throw invalidWeights(path, 'has a "sigma" that is no covariance matrix');
  }
}

/** An archive of files that are stored as they are. */
function zip(files: readonly (readonly [string, Buffer])[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, bytes] of files) {
    // What both headers have: version, flags, method, time, date (1980-01-01), checksum, sizes, length of the name.
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x21, 8);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(bytes.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name)]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(at, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), common, rest, Buffer.from(name)]));
    parts.push(local, bytes);
    at += local.length + bytes.length;
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, ...directory, end]);
}
