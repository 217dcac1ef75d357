import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DeepCacheError, messageOf } from '../errors.js';
import { packageFile, packageRoot } from '../package-root.js';
import { binaries, cudaLibrary, packageRequire, platformPackage } from './binaries.js';
import type { NativeAddon } from './types.js';

let loaded: NativeAddon | undefined;

/**
 * The native addon, loaded on first use: the first of {@link binaries} that loads and is of this version. A file that
 * was passed over is named in a warning of the process.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_NO_BINARY when none is.
 */
export function native(): NativeAddon {
  loaded ??= load();
  return loaded;
}

function load(): NativeAddon {
  const refused: string[] = [];
  for (const file of binaries()) {
    const addon = open(file);
    if (typeof addon === 'string') {
      refused.push(addon);
      continue;
    }
    if (refused.length > 0)
      process.emitWarning(`${refused.join('; ')}; loaded ${file} instead`, { code: 'DEEPCACHE_BINARY' });
    addon.setErrorClass(DeepCacheError);
    const cuda = cudaLibrary();
    if (cuda !== undefined) addon.setCudaLibrary(cuda);
    return addon;
  }
  const why = refused.length > 0 ? refused.join('; ') : missing();
  throw new DeepCacheError(
    'ERR_DEEPCACHE_NO_BINARY',
    `No native binary of deepcache loads on ${process.platform}-${process.arch}: ${why}. ${advice()}`,
  );
}

/** The addon, or why it is none for this package. */
function open(file: string): NativeAddon | string {
  const { version } = packageFile();
  let addon: Partial<NativeAddon>;
  try {
    addon = packageRequire()(file);
  } catch (error) {
    const reason = messageOf(error).split('\n')[0] ?? '';
    return reason.includes(file) ? reason : `${file}: ${reason}`;
  }
  if (typeof addon?.version !== 'string') return `${file} is not a binary of deepcache`;
  if (addon.version !== version)
    return `${file} is of deepcache ${addon.version}, but the package is ${version}`;
  const contract = contractOfCheckout();
  if (contract !== undefined && contract !== addon.contract)
    return `${file} was built from an older or newer state of these sources`;
  return addon as NativeAddon;
}

function missing(): string {
  const { optionalDependencies } = packageFile();
  if (isCheckout()) return 'nothing has been built yet';
  if (optionalDependencies?.[platformPackage()] === undefined) return 'no prebuilt one is published for it';
  return (
    `the optional package ${platformPackage()} is not installed (left out by an option, by a lockfile of ` +
    'another system, or because the C library is not glibc)'
  );
}

function advice(): string {
  return isCheckout()
    ? 'Run `npm run build` (needs CMake and a C++20 compiler).'
    : 'Install again with optional dependencies, or run `npx deepcache build` (needs CMake and a C++20 compiler); ' +
        'see docs/install.md of the package.';
}

/** Between two releases the version says nothing about what an addon has: the file that describes it does. */
function contractOfCheckout(): string | undefined {
  const types = join(packageRoot(), 'lib/native/types.ts');
  return existsSync(types) ? createHash('sha256').update(readFileSync(types)).digest('hex') : undefined;
}

/** The published package has no scripts. */
function isCheckout(): boolean {
  return existsSync(join(packageRoot(), 'scripts/build-native.mjs'));
}
