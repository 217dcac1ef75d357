import { invalidWeights } from '../errors.js';
import { type AccessOptions, RandomAccessFile } from '../files/random-access.js';
import type { Log } from '../log.js';
import { native } from '../native/binding.js';
import { checkTree, namedTensors } from './pickle/tree.js';
import type { PickleValue } from './pickle/values.js';
import type { StoredTensor, WeightsFile } from './stored-tensor.js';
import { inWords, isLegacy, isZip, readTorch, type TorchFile } from './torch-file.js';

export interface OpenOptions extends AccessOptions {
  /** Hears of files that are pickles. */
  log?: Log | undefined;
}

/** What people should know of such a file. */
export const PICKLE = 'is a pickle of torch: its tensors are read, and nothing in it is run';

const START = 64;

/**
 * The tables of a file of weights: safetensors, or what torch.save wrote, told apart by what is in them. Values stay
 * where they are, and nothing of a pickle is run: one that needs more than tensors and plain data is refused.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS by the file's name; the signal's reason.
 */
export async function openWeights(path: string, { signal, log }: OpenOptions = {}): Promise<WeightsFile> {
  return RandomAccessFile.with(path, { signal }, async (file) => {
    const format = await formatOf(file);
    if (format === 'safetensors') return openSafetensors(file);
    log?.(`${path} ${PICKLE}`);
    const { value } = await readTorch(file, format, signal);
    const tensors = await inWords(path, async () => namedTensors(value));
    return { path, format, tensors, metadata: {}, stamp: file.stamp };
  });
}

/**
 * What torch.save wrote, as a tree of plain data. Tensors are {@link StoredTensor}s without a name.
 *
 * @throws DeepCacheError as openWeights, also for safetensors files.
 */
export async function readPickle(path: string, { signal }: AccessOptions = {}): Promise<PickleValue> {
  return RandomAccessFile.with(path, { signal }, async (file) => {
    const format = await formatOf(file);
    if (format === 'safetensors') throw invalidWeights(path, 'is no pickle of torch');
    const { value } = await readTorch(file, format, signal);
    await inWords(path, async () => checkTree(value));
    return value;
  });
}

async function formatOf(file: RandomAccessFile): Promise<'safetensors' | TorchFile['format']> {
  const start = await file.read(0, Math.min(START, file.size));
  if (isZip(start)) return 'torch zip';
  if (isLegacy(start)) return 'torch legacy';
  // A header's length could look like the start of something else.
  const other = start[8] === OPEN_BRACE ? undefined : OTHERS.find(([isIt]) => isIt(start));
  if (other) throw invalidWeights(file.path, other[1]);
  return 'safetensors';
}

const OPEN_BRACE = 0x7b;

const beginsWith =
  (...bytes: number[]) =>
  (start: Buffer) =>
    start.subarray(0, bytes.length).equals(Buffer.from(bytes));

/** Kinds of files that are sometimes taken for weights. What is unknown is safetensors, or damaged. */
const OTHERS: readonly (readonly [(start: Buffer) => boolean, string])[] = [
  [
    beginsWith(0x47, 0x47, 0x55, 0x46),
    'is a GGUF file, which is not read; use the safetensors file that it was made from',
  ],
  [
    (start) => /^\s*<(!doctype|html|\?xml)/i.test(start.toString('latin1')),
    'is a web page, not weights: the download went wrong',
  ],
  [beginsWith(0x50, 0x4b), 'is an archive without files, or one that is damaged'],
  [beginsWith(0x1f, 0x8b), 'is a compressed archive; unpack it first'],
  [beginsWith(0x37, 0x7a, 0xbc, 0xaf), 'is a compressed archive; unpack it first'],
  [beginsWith(0x52, 0x61, 0x72, 0x21), 'is a compressed archive; unpack it first'],
  [
    (start) => start[0] === 0x80 && (start[1] ?? 0) >= 2 && (start[1] ?? 0) <= 5,
    'is a pickle, but none that torch.save wrote',
  ],
];

function openSafetensors({ path, stamp }: RandomAccessFile): WeightsFile {
  const { tensors, metadata } = new (native().SafetensorsFile)(path);
  const stored: StoredTensor[] = tensors.map((tensor) => ({ ...tensor, file: path }));
  return { path, format: 'safetensors', tensors: stored, metadata, stamp };
}
