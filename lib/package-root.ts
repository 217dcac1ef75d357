import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeepCacheError } from './errors.js';

/** What of package.json the package itself reads. */
export interface PackageFile {
  readonly name: string;
  readonly version: string;
  /** Of a release: the packages with binaries, by name. A checkout has none. */
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

let found: { root: string; file: PackageFile } | undefined;

/**
 * The folder of this package. This module runs from lib (tsx, Jest) and from dist/lib.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_NO_BINARY when it was bundled into another program.
 */
export function packageRoot(): string {
  found ??= find();
  return found.root;
}

/** The package.json of this package; throws as {@link packageRoot} does. */
export function packageFile(): PackageFile {
  found ??= find();
  return found.file;
}

function find(): { root: string; file: PackageFile } {
  // Bundles in CommonJS leave it undefined; webpack writes a path of the machine that bundled.
  const url: string | undefined = import.meta.url;
  if (url?.startsWith('file:')) {
    let folder = dirname(fileURLToPath(url));
    for (let parent = dirname(folder); parent !== folder; folder = parent, parent = dirname(folder)) {
      const path = join(folder, 'package.json');
      if (!existsSync(path)) continue;
      const file = JSON.parse(readFileSync(path, 'utf8')) as PackageFile;
      if (file.name === 'deepcache') return { root: folder, file };
    }
  }
  throw new DeepCacheError(
    'ERR_DEEPCACHE_NO_BINARY',
    'deepcache was bundled into another program, where its native binary and its files are missing: mark deepcache ' +
      'as external (esbuild --external:deepcache, webpack externals, Next.js serverExternalPackages, Vite ' +
      'ssr.external) and install it next to the bundle; see docs/install.md of the package',
  );
}
