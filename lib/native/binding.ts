import { createRequire } from 'node:module';
import { DeepCacheError, messageOf } from '../errors.js';
import { packageRoot } from '../package-root.js';
import type { NativeAddon } from './types.js';

let loaded: NativeAddon | undefined;

/**
 * The native addon, loaded on first use: from `prebuilds/` or `build/Release` of this package.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_NO_BINARY when none loads here.
 */
export function native(): NativeAddon {
  if (loaded) return loaded;
  try {
    const load = createRequire(import.meta.url)('node-gyp-build') as (dir: string) => NativeAddon;
    loaded = load(packageRoot());
  } catch (cause) {
    const why = messageOf(cause).split('\n')[0];
    throw new DeepCacheError(
      'ERR_DEEPCACHE_NO_BINARY',
      `No native binary of deepcache loads on ${process.platform}-${process.arch}: ${why}. ` +
        'Run `npm rebuild deepcache --foreground-scripts`, in a checkout `npm run build` ' +
        '(both need CMake and a C++20 compiler).',
      { cause },
    );
  }
  return loaded;
}
