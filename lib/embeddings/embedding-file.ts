import { createHash } from 'node:crypto';
import { basename, extname } from 'node:path';
import { invalidWeights } from '../errors.js';
import { expandHome } from '../files/home.js';
import { LIMITS, readSmallFile } from '../files/read.js';
import { show } from '../messages.js';
import { floatsOf, isFloatType } from '../weights/floats.js';
import { openWeights, readPickle } from '../weights/open.js';
import type { StoredTensor } from '../weights/stored-tensor.js';
import { StoredValues } from '../weights/values.js';

/** Learned vectors for one text encoder. */
export interface EmbeddingRows {
  /** [vectors, width] */
  readonly values: Float32Array;
  readonly vectors: number;
  readonly width: number;
}

/** What a file of a textual inversion holds: vectors for the one encoder of SD 1.x and 2.x, or for SDXL's two. */
export interface EmbeddingFile {
  readonly path: string;
  /** The first twelve digits of the file's SHA-256: what image tools call it by. */
  readonly hash: string;
  /** The token that the file names, or its own name. */
  readonly token: string;
  readonly rows: EmbeddingRows | { readonly clipL: EmbeddingRows; readonly clipG: EmbeddingRows };
}

/** More than any prompt holds. */
const MOST_VECTORS = 1024;
/** CLIP's are 768 to 1280. */
const MOST_WIDTH = 2 ** 14;

/** Names of the two parts of SDXL's: of the web UI's files, and of diffusers' training scripts. */
const PAIRS = [
  ['clip_l', 'clip_g'],
  ['text_encoders_0', 'text_encoders_1'],
] as const;

/** Keys that say nothing about the token. */
const NAMELESS: readonly string[] = ['emb_params', '*', '', ...PAIRS.flat()];

/** Where the web UI and the original code keep the vectors; beside them are numbers about the training. */
const PARAMETERS = 'string_to_param.';

/**
 * Reads a file of a textual inversion, safetensors or a pickle, of which nothing is run: one tensor under `emb_params`
 * or its token's name or without any, `string_to_param` of the web UI and the original code, or one tensor for each of
 * SDXL's encoders.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS saying what the file holds instead.
 */
export async function readEmbeddingFile(given: string, signal?: AbortSignal): Promise<EmbeddingFile> {
  const path = expandHome(given);
  const bytes = await readSmallFile(path, LIMITS.embedding, { signal, fail: invalidWeights });
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
  const { format, tensors } = await openWeights(path, { signal });
  const own = tensors.filter(({ name }) => name.startsWith(PARAMETERS));
  const found = own.length > 0 ? own : tensors;
  const named = format === 'safetensors' ? undefined : await nameIn(path, signal);
  const rows = await StoredValues.with({ signal }, (values) => vectorsOf(path, found, values));
  const key = found.length === 1 ? found[0]?.name : undefined;
  const isToken = key !== undefined && own.length === 0 && !NAMELESS.includes(key);
  return { path, hash, token: isToken ? key : (named ?? basename(path, extname(path))), rows };
}

/** Embeddings inside of an adapter's file, as LyCORIS bundles them: `bundle_emb.TOKEN.` and what their own file would have. */
const BUNDLED = /^bundle_emb\.([^.]+)\.(.+)$/s;

/** Whether a key of an adapter's file is of an embedding that is bundled with it. */
export function isBundled(key: string): boolean {
  return BUNDLED.test(key);
}

/**
 * The textual inversions that an adapter's file brings along.
 *
 * @param hash what the adapter is called by.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS for one that is none.
 */
export async function readBundled(
  path: string,
  hash: string,
  tensors: readonly StoredTensor[],
  signal?: AbortSignal,
): Promise<EmbeddingFile[]> {
  const byToken = new Map<string, StoredTensor[]>();
  for (const tensor of tensors) {
    const [, token, name] = BUNDLED.exec(tensor.name) ?? [];
    if (token === undefined || name === undefined) continue;
    byToken.set(token, [...(byToken.get(token) ?? []), { ...tensor, name }]);
  }
  return StoredValues.with({ signal }, async (values) => {
    const files: EmbeddingFile[] = [];
    for (const [token, own] of byToken) {
      const parameters = own.filter(({ name }) => name.startsWith(PARAMETERS));
      const rows = await vectorsOf(path, parameters.length > 0 ? parameters : own, values);
      files.push({ path, hash, token, rows });
    }
    return files;
  });
}

/** What the web UI's files call themselves. */
async function nameIn(path: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  const value = await readPickle(path, { signal });
  const name = value instanceof Map && value.has('string_to_param') ? value.get('name') : undefined;
  return typeof name === 'string' && name !== '' ? name : undefined;
}

async function vectorsOf(
  path: string,
  tensors: readonly StoredTensor[],
  values: StoredValues,
): Promise<EmbeddingFile['rows']> {
  const of = (name: string) => tensors.find((tensor) => tensor.name === name);
  for (const [left, right] of PAIRS) {
    const [clipL, clipG] = [of(left), of(right)];
    if (!clipL || !clipG) continue;
    return { clipL: await rowsOf(path, clipL, values), clipG: await rowsOf(path, clipG, values) };
  }
  const [only] = tensors;
  if (only && tensors.length === 1) return rowsOf(path, only, values);
  throw invalidWeights(path, whatElse(tensors));
}

async function rowsOf(path: string, tensor: StoredTensor, stored: StoredValues): Promise<EmbeddingRows> {
  const { name, dtype, shape } = tensor;
  const [vectors, width] = (shape.length === 1 ? [1, ...shape] : shape) as readonly number[];
  if (shape.length > 2 || !isWithin(vectors, MOST_VECTORS) || !isWithin(width, MOST_WIDTH)) {
    const what = `is of shape [${shape.join(', ')}], which vectors of a text encoder are not`;
    throw invalidWeights(path, `${show(name)} ${what}`);
  }
  const bytes = await stored.read(tensor);
  if (!isFloatType(dtype))
    throw invalidWeights(path, `${show(name)} has dtype ${dtype}, which vectors of a text encoder have not`);
  const values = floatsOf(Uint8Array.from(bytes).buffer, dtype);
  if (!values.every(Number.isFinite)) {
    throw invalidWeights(path, `${show(name)} has values that are not finite`);
  }
  return { values, vectors, width };
}

function isWithin(extent: number | undefined, most: number): extent is number {
  return extent !== undefined && extent >= 1 && extent <= most;
}

function whatElse(entries: readonly StoredTensor[]): string {
  const [first] = entries;
  if (!first) return 'holds no tensor; a textual inversion is one';
  const isLora = entries.some(({ name }) => /lora|hada_w|lokr_w/.test(name));
  if (isLora) return 'is a LoRA, no textual inversion: give it as one';
  const names = entries.slice(0, 3).map(({ name }) => show(name));
  const list = `${names.join(', ')}${entries.length > 3 ? ', …' : ''}`;
  return `holds ${entries.length} tensors (${list}); a textual inversion is one, or clip_l and clip_g for SDXL`;
}
