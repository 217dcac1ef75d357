import { existsSync, type Stats, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { type PackageFile, packageFile, packageRoot } from '../package-root.js';

export const BINARY = 'deepcache.node';

/** The package with the binary for this machine; with the CUDA library where `cuda`. */
export function platformPackage(cuda = false): string {
  return `@deepcache/${process.platform}-${process.arch}${cuda ? '-cuda' : ''}`;
}

/** Where a build puts its binary: the package's own folder, which is the checkout's as well. */
export function ownBuild(): string {
  return join(packageRoot(), 'build/Release');
}

/** Where `deepcache build` puts it when the package's folder cannot be written; undefined without a home. */
export function homeBuild({ version }: PackageFile = packageFile()): string | undefined {
  try {
    return join(homedir(), '.cache/deepcache/build', `${version}-${process.platform}-${process.arch}`);
  } catch {
    return undefined; // a user that the system does not know
  }
}

/**
 * The files that may be loaded, in order: what was built here, then the platform's package. Never another name than
 * our own, so that foreign files in these folders stay unread.
 */
export function binaries(): string[] {
  const home = homeBuild();
  return [
    join(ownBuild(), BINARY),
    ...(home !== undefined && isOurs(join(home, BINARY)) ? [join(home, BINARY)] : []),
    ...prebuilt(),
  ].filter((file) => existsSync(file));
}

/** The library of the CUDA package, when that is installed. */
export function cudaLibrary(): string | undefined {
  try {
    return packageRequire().resolve(platformPackage(true));
  } catch {
    return undefined;
  }
}

/** `require` as the package's own files have it, from dist/ as from lib/. */
export function packageRequire(): NodeJS.Require {
  return createRequire(join(packageRoot(), 'package.json'));
}

/** A home folder may be writable for others, or belong to who called sudo: only files of the user or of root. */
function isOurs(file: string): boolean {
  const stat = statOf(file);
  if (!stat) return false;
  const { uid, mode } = stat;
  return process.getuid === undefined || ((uid === 0 || uid === process.getuid()) && (mode & 0o022) === 0);
}

/** A home folder may also be that of another user, which may not be looked into: there is nothing for this one then. */
function statOf(file: string): Stats | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** By the rules of node-gyp-build: prebuilds/<platform>-<arch>/ with the tags of runtime, ABI and libc. */
function prebuilt(): string[] {
  const require = packageRequire();
  const { resolve } = require('node-gyp-build') as { resolve(folder: string): string };
  try {
    const folder = dirname(require.resolve(`${platformPackage()}/package.json`));
    const file = resolve(folder);
    // node-gyp-build looks elsewhere too: build/, beside the node executable, where <NAME>_PREBUILD points.
    return file.startsWith(join(folder, 'prebuilds') + sep) ? [file] : [];
  } catch {
    return [];
  }
}
