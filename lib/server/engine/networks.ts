import type { LoraUse } from '../../adapters/loras.js';
import { checkScale } from '../../adapters/scale.js';
import { takeTags } from '../../adapters/tags.js';
import { invalidArgument } from '../../errors.js';
import { show } from '../../messages.js';
import { checkNames, unknownName } from '../../names.js';

/** A file with an IP-Adapter, and the folder of the image encoder that it reads with. */
export interface IpAdapterPlace {
  /** As `loadIpAdapter` takes it. */
  readonly file: string;
  /** Default: the folder image_encoder beside it. */
  readonly imageEncoder?: string;
}

/** What jobs may use besides their model, by the names that they call it: the files and folders of the library's own functions. */
export interface EngineNetworks {
  /** Adapters (LoRA and its relatives), see `loadLora`. */
  readonly loras?: Readonly<Record<string, string>>;
  /** See `loadControlNet`. */
  readonly controlNets?: Readonly<Record<string, string>>;
  /** See `loadT2IAdapter`. */
  readonly t2iAdapters?: Readonly<Record<string, string>>;
  /** See `loadIpAdapter`. */
  readonly ipAdapters?: Readonly<Record<string, string | IpAdapterPlace>>;
  /** Networks that enlarge pictures, see `Upscaler`. */
  readonly upscalers?: Readonly<Record<string, string>>;
  /** Textual inversions; their names are the tokens that stand for them in prompts. Models that they do not fit go without. */
  readonly embeddings?: Readonly<Record<string, string>>;
}

/** What a job uses of them. */
export interface JobNetworks {
  /** Adapters that count, and no others do. */
  readonly loras?: readonly LoraUse[];
  /** ControlNets that see its pictures, in the order of these. Default: the only one that there is. */
  readonly controlNets?: readonly string[];
  /** The same of T2I-Adapters. */
  readonly t2iAdapters?: readonly string[];
  /** The same of IP-Adapters. */
  readonly ipAdapters?: readonly string[];
}

/** The same, checked: what a model needs for a job. Undefined: it does not matter. */
export interface NetworkNeeds {
  readonly loras: readonly LoraUse[];
  readonly controlNets: readonly string[] | undefined;
  readonly t2iAdapters: readonly string[] | undefined;
  readonly ipAdapters: readonly string[] | undefined;
}

/** What jobs that need the same have in common, as texts: see `goTogether`. */
export function keysOf({ loras, controlNets, t2iAdapters, ipAdapters }: NetworkNeeds): {
  readonly weights?: string;
  readonly beside?: Readonly<Record<string, string | undefined>>;
} {
  return {
    ...(loras.length > 0 && { weights: JSON.stringify(loras.map(({ name, scale }) => [name, scale])) }),
    ...((controlNets ?? t2iAdapters ?? ipAdapters) && {
      beside: {
        controlNets: controlNets && JSON.stringify(controlNets),
        t2iAdapters: t2iAdapters && JSON.stringify(t2iAdapters),
        ipAdapters: ipAdapters && JSON.stringify(ipAdapters),
      },
    }),
  };
}

/** Networks beside a model that see pictures. */
const BESIDE = ['controlNets', 't2iAdapters', 'ipAdapters'] as const;
const KINDS = ['loras', ...BESIDE, 'upscalers', 'embeddings'] as const;

/** Throws ERR_DEEPCACHE_INVALID_ARGUMENT for what names no files. */
export function checkNetworks(networks: EngineNetworks): void {
  if (typeof networks !== 'object' || networks === null)
    throw invalidArgument('networks', `must be an object, got ${show(networks)}`);
  checkNames(networks, KINDS, 'networks.');
  for (const [kind, files] of Object.entries(networks)) {
    for (const [name, file] of Object.entries((files ?? {}) as Record<string, unknown>)) {
      const own = `networks.${kind}[${show(name)}]`;
      if (name === '' || name.length > 100 || /[<>:,\p{Cc}]/u.test(name))
        throw invalidArgument(own, 'has no name that prompts can hold: without < > : and commas');
      const path = typeof file === 'object' && file !== null ? (file as IpAdapterPlace).file : file;
      if (typeof path !== 'string' || path === '')
        throw invalidArgument(own, `must be a path, got ${show(file)}`);
    }
  }
}

type Options = Readonly<Record<string, unknown>>;

/**
 * What a job needs besides its model, and its options without the adapters that its prompts name.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for names that are none.
 */
export function needsOf(
  { options, networks = {} }: { readonly options: Options; readonly networks?: JobNetworks },
  known: EngineNetworks,
): { readonly needs: NetworkNeeds; readonly options: Options } {
  checkNames(networks, ['loras', ...BESIDE], 'networks.');
  const { loraSyntax, ...rest } = options;
  const tagged = loraSyntax === true ? takeTags(rest) : { options: rest, uses: [] };
  const loras = lorasOf([...(networks.loras ?? []), ...tagged.uses], known.loras ?? {});
  return {
    options: loraSyntax === true ? tagged.options : options,
    needs: {
      loras,
      controlNets: besideOf('controlNets', options.controlImage, networks.controlNets, known.controlNets),
      t2iAdapters: besideOf('t2iAdapters', options.t2iAdapterImage, networks.t2iAdapters, known.t2iAdapters),
      ipAdapters: besideOf('ipAdapters', options.ipAdapterImage, networks.ipAdapters, known.ipAdapters),
    },
  };
}

/** Those that count, by their names in order: the same set is the same text. */
function lorasOf(uses: readonly LoraUse[], known: Readonly<Record<string, string>>): LoraUse[] {
  const found = new Map<string, LoraUse>();
  for (const [i, use] of uses.entries()) {
    if (typeof use !== 'object' || use === null)
      throw invalidArgument(`loras[${i}]`, `must be an object, got ${show(use)}`);
    const { name, scale = 1 } = use;
    requireName('loras', name, Object.keys(known));
    if (found.has(name)) throw invalidArgument('loras', `has ${show(name)} twice`);
    found.set(name, { name, scale: checkScale(`loras[${i}].scale`, scale) });
  }
  const counting = [...found.values()].filter(({ scale }) => scale !== 0);
  return counting.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Networks that see pictures of an option; undefined for a job that has none, or takes what its model has. */
function besideOf(
  option: (typeof BESIDE)[number],
  pictures: unknown,
  given: readonly string[] | undefined,
  known: Readonly<Record<string, unknown>> = {},
): readonly string[] | undefined {
  const names = Object.keys(known);
  if (given === undefined) {
    if (pictures === undefined || names.length === 0) return undefined;
    if (names.length === 1) return names;
    throw invalidArgument(option, `is missing: which sees the pictures? There are ${names.join(', ')}`);
  }
  if (!Array.isArray(given) || given.length === 0)
    throw invalidArgument(option, `must be a list of names, got ${show(given)}`);
  for (const name of given) requireName(option, name, names);
  if (new Set(given).size < given.length) throw invalidArgument(option, 'has a name twice');
  if (pictures === undefined) throw invalidArgument(option, 'needs a picture to see');
  return given;
}

function requireName(option: string, name: unknown, known: readonly string[]): void {
  if (typeof name === 'string' && known.includes(name)) return;
  const others = known.length > 0 ? unknownName(String(name), known) : 'there are none';
  throw invalidArgument(option, `names ${show(name)}, which is not here; ${others}`);
}
