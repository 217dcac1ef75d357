import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DeepCacheError, invalidConfig, messageOf, withOwner } from '../errors.js';
import { readJson } from '../files/json.js';
import { checkUnchanged, type FileStamp } from '../files/random-access.js';
import { LIMITS } from '../files/read.js';
import type { Log } from '../log.js';
import { show } from '../messages.js';
import { finish } from '../native/device.js';
import type { Job, ModelSource, NativeUnet, TensorSource } from '../native/types.js';
import { openWeights } from '../weights/open.js';

/** A network as its files describe it: its configuration, and where its weights are. */
export interface NetworkFiles {
  /** Its folder, or the file that it lies in, for messages. */
  readonly place: string;
  /** What messages call its configuration. */
  readonly configFile: string;
  /** The text of the configuration, and its value. */
  readonly configText: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Files with its weights: safetensors, one, or the shards of one model; or any, with `tensors`. */
  readonly files: readonly string[];
  /** Where the weights lie in the files, if not under their own names. */
  readonly tensors?: readonly TensorSource[];
  /** What the files were when these places were read. */
  readonly stamps?: ReadonlyMap<string, FileStamp>;
}

/** What native code loads a network from. */
export function sourceOf({ configText: config, files, tensors }: NetworkFiles): ModelSource {
  return tensors ? { config, tensors } : { config, files };
}

/** How the files of a model are chosen. */
export interface FindOptions {
  variant?: string | undefined;
  signal?: AbortSignal | undefined;
  /** Hears of files that are taken where there are none of the variant that was asked for. */
  log?: Log | undefined;
}

/** How a model is loaded. */
export interface ModelLoadOptions {
  signal?: AbortSignal | undefined;
  /** ControlNets: the U-Net whose runs they go with. */
  beside?: NativeUnet | undefined;
  repair?: Repair | undefined;
}

/** Fields of a configuration that are to be others than its file says. */
export type Repair = (config: NetworkFiles['config']) => NetworkFiles['config'];

/** A network with another configuration than its file has. */
export function repaired(found: NetworkFiles, repair: Repair | undefined): NetworkFiles {
  const repairs = repair?.(found.config) ?? {};
  if (Object.keys(repairs).length === 0) return found;
  const config = { ...found.config, ...repairs };
  return { ...found, config, configText: JSON.stringify(config) };
}

/**
 * Finds the configuration and the weights of a component.
 *
 * Names are tried as diffusers does: `<stem>.safetensors`, a shard index, the same of pickles, then a variant
 * (`<stem>.fp16.safetensors`). With `variant` that variant comes first.
 */
export async function findModel(
  folder: string,
  stem: string,
  { variant, signal, log }: FindOptions = {},
): Promise<NetworkFiles> {
  const configFile = join(folder, 'config.json');
  const { text, value } = await readJson(configFile, { signal });
  try {
    // Python's numbers, which scheduler configurations hold, mean nothing here.
    JSON.parse(text);
  } catch (cause) {
    throw invalidConfig(configFile, `is not JSON: ${messageOf(cause)}`, { cause });
  }
  const names = await readdir(folder);
  const found = { place: folder, configFile, configText: text, config: value };
  const stems = variant ? [`${stem}.${variant}`, stem] : [stem, `${stem}.fp16`, `${stem}.bf16`];
  for (const name of stems) {
    const files = await filesOf(folder, names, { stem, name, ending: 'safetensors', signal });
    const pickles = files ? undefined : await picklesOf(folder, names, { stem, name, signal, log });
    if (!files && !pickles) continue;
    if (variant && name !== stems[0]) {
      log?.(
        `${folder} has no variant ${variant}: ${basename((files ?? pickles?.files ?? [])[0] ?? name)} is taken`,
      );
    }
    return { ...found, ...(files ? { files } : (pickles as Pickles)) };
  }
  const variants = names.flatMap((name) => (/-\d+-of-\d+\./.test(name) ? [] : (variantOf(name, stem) ?? [])));
  const pickled = names.filter((name) => /\.(bin|ckpt|pt|pth)$/.test(name));
  throw new DeepCacheError(
    'ERR_DEEPCACHE_INVALID_WEIGHTS',
    `${folder} has no ${stems[0]}.safetensors` +
      (variants.length > 0
        ? `; there ${variants.length === 1 ? 'is the variant' : 'are the variants'} ${variants.join(', ')}: ` +
          `give it, as the option variant or --variant ${variants[0]}`
        : '') +
      (pickled.length > 0 ? ` (${pickled.join(', ')} is there under a name that is not looked for)` : ''),
  );
}

/**
 * Waits for a component's native model. What is wrong with the configuration is reported with its file, which native code
 * never sees.
 */
export async function loadNative<T extends { dispose(): void }>(
  { place, configFile, stamps = new Map() }: Pick<NetworkFiles, 'place' | 'configFile' | 'stamps'>,
  start: () => Job<T>,
  signal?: AbortSignal,
): Promise<T> {
  try {
    const model = await finish(start, signal);
    return await unlessChanged(model, stamps);
  } catch (error) {
    const isConfig =
      error instanceof DeepCacheError &&
      ['ERR_DEEPCACHE_INVALID_CONFIG', 'ERR_DEEPCACHE_UNSUPPORTED'].includes(error.code);
    throw isConfig && !error.message.includes(place) ? withOwner(configFile, error) : error;
  }
}

/** Between the reading of a table and the loading by it, the file may have become another one. */
async function unlessChanged<T extends { dispose(): void }>(
  model: T,
  stamps: ReadonlyMap<string, FileStamp>,
): Promise<T> {
  try {
    for (const [path, stamp] of stamps) await checkUnchanged(path, stamp);
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

interface Wanted {
  /** The usual name without its ending, and the one that is tried, of a variant perhaps. */
  stem: string;
  name: string;
  ending: 'safetensors' | 'bin';
  signal?: AbortSignal | undefined;
}

/** One file, or the shards that an index names; undefined where there are none of the name. */
async function filesOf(
  folder: string,
  names: readonly string[],
  { stem, name, ending, signal }: Wanted,
): Promise<string[] | undefined> {
  if (names.includes(`${name}.${ending}`)) return [join(folder, `${name}.${ending}`)];
  // diffusers has written the variant of an index at both places.
  const inner = `${name.replace(stem, `${stem}.${ending}.index`)}.json`;
  const index = [`${name}.${ending}.index.json`, inner].find((file) => names.includes(file));
  return index === undefined ? undefined : shards(folder, index, ending, signal);
}

type Pickles = Required<Pick<NetworkFiles, 'files' | 'tensors' | 'stamps'>>;

/** The same of pickles, with their tensors. transformers calls its files "model" only where they are safetensors. */
async function picklesOf(
  folder: string,
  names: readonly string[],
  { stem, name, signal, log }: Omit<Wanted, 'ending'> & { log?: Log | undefined },
): Promise<Pickles | undefined> {
  const own = (text: string) => (stem === 'model' ? `pytorch_${text}` : text);
  const files = await filesOf(folder, names, { stem: own(stem), name: own(name), ending: 'bin', signal });
  if (!files) return undefined;
  const tensors: TensorSource[] = [];
  const stamps = new Map<string, FileStamp>();
  for (const path of files) {
    const file = await openWeights(path, { signal, log });
    tensors.push(...file.tensors);
    stamps.set(path, file.stamp);
  }
  return { files, tensors, stamps };
}

/** The variant that a weight file, or the index of one's shards, is of. */
function variantOf(name: string, stem: string): string | undefined {
  const rest = name.startsWith(`${stem}.`) ? name.slice(stem.length + 1) : '';
  return /^([\w-]+)\.safetensors(?:\.index\.json)?$|^safetensors\.index\.([\w-]+)\.json$/
    .exec(rest)
    ?.slice(1)
    .find(Boolean);
}

/** The largest models have a hundred or so. */
const MOST_SHARDS = 10_000;

async function shards(
  folder: string,
  index: string,
  ending: Wanted['ending'],
  signal?: AbortSignal,
): Promise<string[]> {
  const path = join(folder, index);
  const map = (await readJson(path, { max: LIMITS.index, signal })).value.weight_map;
  if (typeof map !== 'object' || map === null) throw invalidConfig(path, 'lacks "weight_map"');
  const files = [...new Set<unknown>(Object.values(map))];
  if (files.length < 1 || files.length > MOST_SHARDS) {
    throw invalidConfig(path, `names ${files.length} files; it must be 1 to ${MOST_SHARDS}`);
  }
  const isShard = (file: unknown) =>
    typeof file === 'string' && /^[^\\/\0]{1,240}$/.test(file) && file.endsWith(`.${ending}`);
  const other = files.find((file) => !isShard(file));
  if (other !== undefined) {
    throw invalidConfig(path, `names ${show(other)}, which is no .${ending} file in its folder`);
  }
  return (files as string[]).sort().map((file) => join(folder, file));
}
