import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeepCacheError, messageOf } from '../errors.js';
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

/** This module runs from lib/native (tsx, Jest) and from dist/lib/native. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('the package.json of deepcache is missing');
    folder = parent;
  }
  return folder;
}
