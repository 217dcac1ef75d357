import { join } from 'node:path';
import { invalidArgument } from '../errors.js';
import { expandHome } from '../files/home.js';
import { isFolder, statOf } from '../files/read.js';
import type { CLIPTokenizer } from '../tokenizers/clip-tokenizer.js';
import { FolderSource } from './folder-source.js';
import type { NetworkFiles } from './model-files.js';
import type { JsonPart, NetworkOptions, PartSource, WaitOptions } from './part-source.js';
import { Checkpoint } from './single-file/checkpoint.js';
import { layoutOf } from './single-file/layouts.js';
import { NETWORKS, networkIn } from './single-file/network.js';
import { isHalfOfTiny, TINY_LAYOUT, tinyConfigOf, tinyDecoderOf } from './single-file/tiny-vae.js';

/** Options that name a file or a folder for a part, by the parts. */
export const OVERRIDES = {
  unet: 'unet',
  vae: 'vae',
  text_encoder: 'textEncoder',
  text_encoder_2: 'textEncoder2',
} as const;

export type Overrides = {
  readonly [Option in (typeof OVERRIDES)[keyof typeof OVERRIDES]]?: string | undefined;
};

/** Where a part comes from instead of the model's own place. */
export interface PartPlace {
  readonly place: string;
  /** Its own configuration; without one it has the model's. */
  readonly configName?: string;
  json?(options: WaitOptions, usual: () => Promise<JsonPart>): Promise<JsonPart>;
  network(config: () => Promise<JsonPart>, options: NetworkOptions): Promise<NetworkFiles>;
}

/** The parts that options name a place for. */
export function overriddenParts(options: Overrides): string[] {
  return Object.entries(OVERRIDES).flatMap(([part, option]) => (options[option] === undefined ? [] : part));
}

/**
 * A model with some of its parts from other places: a file (of the part alone, or of a whole model), or a folder (the
 * part's, or a model's).
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option.
 */
export async function withOverrides(
  source: PartSource,
  options: Overrides & WaitOptions,
): Promise<PartSource> {
  const overrides = new Map<string, PartPlace>();
  for (const [part, option] of Object.entries(OVERRIDES)) {
    const place = options[option];
    if (place === undefined) continue;
    if (!source.has(part)) {
      throw invalidArgument(option, `is for models with a ${part}; ${source.place} has none`);
    }
    overrides.set(part, await partAt(place, part, option, options));
  }
  return overrides.size === 0 ? source : new OverriddenSource(source, overrides);
}

/**
 * Finds a part at a file (of the part alone, or of a whole model) or a folder (the part's, or a model's).
 *
 * @param option that names the place, for messages.
 * @param options `decodes`: an autoencoder that can only decode is enough.
 */
export async function partAt(
  given: string,
  part: string,
  option: string,
  options: WaitOptions & { decodes?: boolean },
): Promise<PartPlace> {
  const place = expandHome(given);
  return isFolder(place) ? inFolder(option, part, place) : inFile(option, part, place, options);
}

function inFolder(option: string, part: string, place: string): PartPlace {
  const source = new FolderSource(place);
  const own = [`${part}/config.json`, 'config.json'].find((name) => source.hasJson(name));
  if (!own)
    throw invalidArgument(option, `is ${place}, which has neither config.json nor ${part}/config.json`);
  const folder = new FolderSource(own === 'config.json' ? place : join(place, part));
  const stem = part.includes('encoder') ? 'model' : 'diffusion_pytorch_model';
  return {
    place: folder.place,
    configName: folder.jsonPath('config.json'),
    json: (options) => folder.json('config.json', options),
    network: (_, options) => folder.network('', { stem, ...options }),
  };
}

const HALF = "half of an AutoencoderTiny (TAESD): give a file or a folder with both, in diffusers' names";

async function inFile(
  option: string,
  part: string,
  place: string,
  { signal, decodes = false }: WaitOptions & { decodes?: boolean },
): Promise<PartPlace> {
  if (!statOf(place)) throw invalidArgument(option, `is ${place}, which does not exist`);
  const checkpoint = await Checkpoint.open(place, { signal });
  const whole = part === 'vae' ? tinyConfigOf(checkpoint) : undefined;
  const half = decodes && !whole ? tinyDecoderOf(checkpoint) : undefined;
  const tiny = whole ?? half?.config;
  const layout = half?.layout ?? (tiny ? TINY_LAYOUT : layoutOf(checkpoint, part));
  if (!layout) {
    const isHalf = part === 'vae' && isHalfOfTiny(checkpoint);
    const what = decodes ? 'the encoder of a TAESD: give its decoder' : HALF;
    throw invalidArgument(
      option,
      `is ${place}, which holds ${isHalf ? what : `no ${NETWORKS[part]?.title}`}`,
    );
  }
  const guidanceWidth = part === 'unet' ? guidanceWidthOf(checkpoint) : undefined;
  const configOf = async (usual: () => Promise<JsonPart>) =>
    tiny ?? (guidanceWidth === undefined ? await usual() : takingGuidance(await usual(), guidanceWidth));
  return {
    place,
    ...(tiny && { configName: place }),
    ...((tiny || guidanceWidth !== undefined) && { json: (_, usual) => configOf(usual) }),
    network: async (config, { log }) => {
      if (checkpoint.remark !== undefined) log?.(`${place} ${checkpoint.remark}`);
      return networkIn(checkpoint, part, layout, await configOf(config));
    },
  };
}

/** Of a U-Net that takes the guidance scale as an input, which the one in whose place it comes need not. */
function guidanceWidthOf(checkpoint: Checkpoint): number | undefined {
  for (const [name, { shape }] of checkpoint.tensors)
    if (/(?:^|\.)time_embedding\.cond_proj\.weight$/.test(name)) return shape[1];
  return undefined;
}

function takingGuidance({ path, value }: JsonPart, width: number): JsonPart {
  const config = { ...value, time_cond_proj_dim: width };
  return { path, text: JSON.stringify(config), value: config };
}

class OverriddenSource implements PartSource {
  constructor(
    private readonly base: PartSource,
    private readonly overrides: ReadonlyMap<string, PartPlace>,
  ) {}

  get place(): string {
    return this.base.place;
  }

  get places(): readonly string[] {
    return [...this.base.places, ...[...this.overrides.values()].map(({ place }) => place)];
  }

  has(part: string): boolean {
    return this.base.has(part);
  }

  hasJson(name: string): boolean {
    return this.#jsonOf(name) !== undefined || this.base.hasJson(name);
  }

  jsonPath(name: string): string {
    return this.#jsonOf(name)?.configName ?? this.base.jsonPath(name);
  }

  json(name: string, options: WaitOptions = {}): Promise<JsonPart> {
    const usual = () => this.base.json(name, options);
    return this.#jsonOf(name)?.json?.(options, usual) ?? usual();
  }

  network(part: string, options: NetworkOptions = {}): Promise<NetworkFiles> {
    const override = this.overrides.get(part);
    if (!override) return this.base.network(part, options);
    return override.network(() => this.base.json(`${part}/config.json`, options), options);
  }

  tokenizer(part: string, options: WaitOptions = {}): Promise<CLIPTokenizer> {
    return this.base.tokenizer(part, options);
  }

  /** What has a configuration of its own. */
  #jsonOf(name: string): PartPlace | undefined {
    const [part = '', file] = name.split('/');
    const override = file === 'config.json' ? this.overrides.get(part) : undefined;
    return override?.json ? override : undefined;
  }
}
