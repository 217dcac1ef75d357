// The packages with binaries. Each one's files lie in prebuilds/<platform>-<arch>/, where
// scripts/build-platform.mjs puts them.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const addon = (os, cpu, libc) => ({ os, cpu, libc, file: 'deepcache.node', kind: 'addon' });
const cuda = (os, cpu, libc, file) => ({ os, cpu, libc, file, kind: 'cuda' });

/** What npm's fields os, cpu and libc say of each package, and the file that it carries. */
const PACKAGES = [
  addon('linux', 'x64', 'glibc'),
  cuda('linux', 'x64', 'glibc', 'libdeepcache_cuda.so'),
  addon('linux', 'arm64', 'glibc'),
  addon('darwin', 'arm64'),
  addon('win32', 'x64'),
].map((fields) => {
  const platform = `${fields.os}-${fields.cpu}`;
  const source = join(root, 'prebuilds', platform, fields.file);
  const name = `@deepcache/${platform}${fields.kind === 'cuda' ? '-cuda' : ''}`;
  return { ...fields, platform, name, source };
});

/** The packages whose files were built; with `complete` a missing one is an error. */
export function builtPackages({ complete = false } = {}) {
  const missing = PACKAGES.filter(({ source }) => !existsSync(source));
  if (complete && missing.length > 0)
    throw new Error(`not built: ${missing.map(({ source }) => source).join(', ')}`);
  return PACKAGES.filter((one) => !missing.includes(one));
}
