import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type EmbeddingFile, isBundled, readBundled } from '../embeddings/embedding-file.js';
import { invalidWeights, messageOf } from '../errors.js';
import { expandHome } from '../files/home.js';
import { readJson } from '../files/json.js';
import type { FileStamp } from '../files/random-access.js';
import { shorten, show } from '../messages.js';
import { openWeights } from '../weights/open.js';
import type { StoredTensor, WeightsFile } from '../weights/stored-tensor.js';
import { familyOf } from './family.js';
import { fingerprintOf } from './fingerprint.js';
import { fitsWeight } from './fit.js';
import { type KeyRole, parseKey } from './key.js';
import { type Change, changesOf } from './layer.js';
import type { ModuleTable } from './module-table.js';
import type { PartName } from './part.js';
import { type ScaleOf, scaleOfConfig, scaleOfMetadata } from './peft-config.js';
import { refuseOthers } from './refused.js';
import { readScalars } from './scalars.js';

/** What an adapter's file does to a pipeline's networks. */
export interface AdapterFile {
  /** The file that holds the tensors. */
  readonly path: string;
  /** Of the file when it was read; its values are read again whenever a scale changes. */
  readonly stamp: FileStamp;
  /** See fingerprintOf. */
  readonly hash: string;
  readonly changes: readonly (Change & { readonly part: PartName })[];
  /** Textual inversions that the file brings along. */
  readonly embeddings: readonly EmbeddingFile[];
  /** Keys that mean nothing here, in the order of the file. */
  readonly unknown: readonly string[];
}

/** Files of a folder that hold an adapter: PEFT's, and diffusers'. */
const IN_FOLDERS = ['adapter_model', 'pytorch_lora_weights', 'diffusion_pytorch_model'].flatMap((stem) => [
  `${stem}.safetensors`,
  `${stem}.bin`,
]);

/** A layer of the file, with what there is for it. */
type Groups = Map<string, Map<KeyRole, StoredTensor>>;

/**
 * Reads which weights of which networks a file changes, and how. Keys that belong to none of their layers are `unknown`.
 *
 * @param given a file, or a folder with adapter_config.json (PEFT).
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS for a file that is none, or that is for another kind of model;
 * ERR_DEEPCACHE_UNSUPPORTED for a kind of adapter that is not computed.
 */
export async function readAdapter(
  given: string,
  table: ModuleTable,
  signal?: AbortSignal,
): Promise<AdapterFile> {
  const path = await findFile(expandHome(given));
  const file = await openWeights(path, { signal });
  refuseOthers(
    path,
    file.tensors.map(({ name }) => name),
  );
  const { groups, unknown } = group(file.tensors.filter(({ name }) => !isBundled(name)));
  const scaleOf = await readScaleOf(file, signal);
  const scalars = await readScalars(path, scalarsOf(groups), signal);
  const changes: (Change & { part: PartName })[] = [];
  for (const [layer, tensors] of groups) {
    const module = table.find(layer);
    const found = module && changesOf(module, tensors, scalars, scaleOf);
    unknown.push(...(found ? found.unused : [...tensors.values()].map(({ name }) => name)));
    if (module && found) changes.push(...found.changes.map((change) => ({ ...change, part: module.part })));
  }
  requireFit(path, groups, changes, table);
  const hash = await fingerprintOf(path, file.tensors, file.format === 'safetensors', signal);
  const order = new Map(file.tensors.map(({ name }, i) => [name, i]));
  unknown.sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0));
  const embeddings = await readBundled(path, hash, file.tensors, signal);
  return { path, stamp: file.stamp, hash, changes, embeddings, unknown };
}

async function findFile(given: string): Promise<string> {
  const isFolder = async (path: string) => (await stat(path)).isDirectory();
  const exists = (path: string) =>
    stat(path).then(
      (found) => found.isFile(),
      () => false,
    );
  try {
    if (!(await isFolder(given))) return given;
  } catch (error) {
    throw invalidWeights(shorten(given), `cannot be read: ${messageOf(error)}`, { cause: error });
  }
  for (const name of IN_FOLDERS) if (await exists(join(given, name))) return join(given, name);
  throw invalidWeights(shorten(given), `is a folder without ${IN_FOLDERS.join(', ')}`);
}

function group(tensors: readonly StoredTensor[]): { groups: Groups; unknown: string[] } {
  const groups: Groups = new Map();
  const unknown: string[] = [];
  for (const tensor of tensors) {
    const key = parseKey(tensor.name);
    const own = key && (groups.get(key.layer) ?? new Map<KeyRole, StoredTensor>());
    if (!own || own.has(key.role)) {
      unknown.push(tensor.name);
      continue;
    }
    own.set(key.role, tensor);
    groups.set(key.layer, own);
  }
  return { groups, unknown };
}

function scalarsOf(groups: Groups): StoredTensor[] {
  return [...groups.values()].flatMap((tensors) =>
    (['alpha', 'on_input'] as const).flatMap((role) => tensors.get(role) ?? []),
  );
}

/** PEFT says alpha beside the file, newer diffusers in its metadata. */
async function readScaleOf(
  { path, metadata }: WeightsFile,
  signal: AbortSignal | undefined,
): Promise<ScaleOf> {
  if (!/(?:^|[\\/])adapter_model\.\w+$/.test(path)) return scaleOfMetadata(metadata);
  const config = join(dirname(path), 'adapter_config.json');
  return scaleOfConfig((await readJson(config, { signal })).value);
}

/** Throws when the file is for another kind of model: it must not be applied in part. */
function requireFit(path: string, groups: Groups, changes: readonly Change[], table: ModuleTable): void {
  const family = familyOf(groups);
  const looks = family ? `; it looks like one for ${family}` : '';
  const second = [...groups.keys()].find((layer) => /^(?:lora_te2_|text_encoder_2\.)/.test(layer));
  if (second !== undefined && !table.has('text_encoder_2')) {
    throw invalidWeights(
      path,
      `is an adapter for another kind of model: ${show(second)} is of a second text encoder, which this one lacks${looks}`,
    );
  }
  if (changes.length === 0) {
    const keys = [...groups.keys()].slice(0, 3).map(show).join(', ');
    throw invalidWeights(
      path,
      `has no key of an adapter for this model${keys && `: it names ${keys}`}${looks}`,
    );
  }
  const other = changes.find((change) => !fitsWeight(change));
  if (!other) return;
  const shapes = Object.entries(other.term.tensors).map(
    ([role, { shape }]) => `${role} [${shape.join(', ')}]`,
  );
  throw invalidWeights(
    path,
    `is an adapter for another kind of model: for ${other.weight}, which has shape [${other.shape.join(', ')}] here, it holds ${shapes.join(', ')}${looks}`,
  );
}
