import { invalidArgument } from '../../errors.js';
import { INTERPOLATION_MODES } from '../../images/interpolate.js';
import { show } from '../../messages.js';
import { unknownName } from '../../names.js';
import type { JobNetworks } from '../engine/networks.js';

/** What requests for a model may name besides it: never a file. */
export interface NetworkNames {
  /** Networks that enlarge pictures, and how many times. */
  readonly upscalers?: readonly { readonly name: string; readonly scale?: number }[] | undefined;
  /** Adapters, also in prompts as `<lora:name:0.8>`. */
  readonly loras?: readonly string[] | undefined;
  readonly controlNets?: readonly string[] | undefined;
  readonly t2iAdapters?: readonly string[] | undefined;
  readonly ipAdapters?: readonly string[] | undefined;
  /** Tokens of textual inversions. */
  readonly embeddings?: readonly string[] | undefined;
}

/** Throws unless a name is one of those that the server was given. */
function requireName(option: string, name: unknown, known: readonly string[]): void {
  if (typeof name === 'string' && known.includes(name)) return;
  const others = known.length > 0 ? unknownName(String(name), known) : 'the server has none';
  throw invalidArgument(option, `names ${show(name)}, which is not here; ${others}`);
}

interface Enlarged {
  readonly upscale?: string | { readonly upscaler: string };
  readonly hiresFix?: { readonly upscaler?: string };
}

/**
 * Where the library takes a file, a request has a name.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for one that the server was not given.
 */
export function checkUpscalers(options: object, { upscalers = [] }: NetworkNames): void {
  const { upscale, hiresFix } = options as Enlarged;
  const known = upscalers.map(({ name }) => name);
  if (typeof upscale === 'string') requireName('upscale', upscale, known);
  else if (upscale) requireName('upscale.upscaler', upscale.upscaler, known);
  if (hiresFix?.upscaler !== undefined)
    requireName('hiresFix.upscaler', hiresFix.upscaler, [...INTERPOLATION_MODES, ...known]);
}

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for names that the server was not given. */
export function checkNetworkNames(networks: JobNetworks, names: NetworkNames): void {
  for (const [i, use] of (networks.loras ?? []).entries())
    requireName(`loras[${i}]`, use?.name, names.loras ?? []);
  for (const kind of ['controlNets', 't2iAdapters', 'ipAdapters'] as const)
    for (const [i, name] of (networks[kind] ?? []).entries())
      requireName(`${kind}[${i}]`, name, names[kind] ?? []);
}
