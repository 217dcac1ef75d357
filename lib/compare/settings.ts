import { type CacheOptions, SettingsPolicy } from '../deepcache/index.js';
import { DeepCacheError, invalidArgument } from '../errors.js';
import type { UNetModel } from '../models/unet.js';

/** Cache settings to compare; as an object, its keys are their names. */
export type CompareSettings = readonly CacheOptions[] | Readonly<Record<string, CacheOptions>>;

export interface NamedSetting {
  name: string;
  cache: CacheOptions;
}

/** The presets. */
export const DEFAULT_SETTINGS: CompareSettings = ['quality', 'balanced', 'fast'];

export function nameSettings(settings: CompareSettings): NamedSetting[] {
  if (typeof settings !== 'object' || settings === null) {
    throw invalidArgument('settings', 'must be a list of cache options, or an object with them by name');
  }
  const named = Array.isArray(settings)
    ? (settings as readonly CacheOptions[]).map((cache) => ({ name: nameOf(cache), cache }))
    : Object.entries(settings as Record<string, CacheOptions>).map(([name, cache]) => ({ name, cache }));
  if (named.length === 0) throw invalidArgument('settings', 'must have at least one cache setting');
  return named;
}

/** 'fast', or 'interval=3, branch=0' as the command line has it. */
export function nameOf(cache: CacheOptions): string {
  if (cache === false) return 'no cache';
  if (typeof cache !== 'object' || cache === null) return String(cache);
  const text = (value: unknown) => (Array.isArray(value) ? value.join('+') : String(value));
  const parts = Object.entries(cache).filter(([, value]) => value !== undefined);
  return parts.map(([key, value]) => `${key}=${text(value)}`).join(', ');
}

/**
 * The branch that a setting's retrieve steps take in a run of so many U-Net calls; none when all calls are full.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT, with the setting's name, for what the run or the U-Net cannot
 * have.
 */
export function branchOf(
  { name, cache }: NamedSetting,
  calls: number,
  unet: Pick<UNetModel, 'validateBranch'>,
): number | undefined {
  try {
    // Only which calls exist matters here, so any timesteps do.
    const timesteps = Array.from({ length: calls }, (_, i) => i);
    const run = { timesteps, schedulerTimesteps: timesteps, branches: Number.POSITIVE_INFINITY };
    const layout = new SettingsPolicy(cache).layout(run);
    const branch = unet.validateBranch(layout.branch);
    return layout.calls.some(({ kind }) => kind === 'retrieve') ? branch : undefined;
  } catch (error) {
    if (!(error instanceof DeepCacheError)) throw error;
    throw new DeepCacheError(error.code, `${error.message} (of the setting "${name}")`, { cause: error });
  }
}
