// Packs the release: the package `deepcache` and one package for each binary in prebuilds/.
//
//   node scripts/release/pack.mjs [--complete] [--sizes]
//
// The tarballs go to release/. --complete: a binary that was not built is an error, as it must be for publishing.
// --sizes: writes the sizes into docs/install.md.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { readTable, writeTable } from './page.mjs';
import { builtPackages, root } from './platforms.mjs';
import { pack, stageMain, stagePlatform } from './stage.mjs';

/** Packs all; returns [{name, folder, file, size, unpackedSize, entryCount}], `deepcache` first. */
export function packAll(options) {
  const packages = builtPackages(options);
  const release = join(root, 'release');
  for (const folder of ['stage', 'tarballs']) rmSync(join(release, folder), { recursive: true, force: true });
  mkdirSync(join(release, 'tarballs'), { recursive: true });
  const staged = [{ name: 'deepcache' }, ...packages].map((one) => {
    const folder = join(release, 'stage', one.name);
    if (one.source) stagePlatform(folder, one);
    else stageMain(folder, packages);
    return { name: one.name, folder };
  });
  for (const { folder } of staged) lint(folder);
  return staged.map((one) => ({ ...one, ...pack(one.folder, join(release, 'tarballs')) }));
}

/** By publint: whether package.json and the files fit together. */
function lint(folder) {
  const cli = join(root, 'node_modules/publint/src/cli.js');
  const { status, stdout } = spawnSync(process.execPath, [cli, '--strict', folder], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`publint on ${folder}:\n${stdout}`);
}

const mega = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** Rows of packages that were not built here stay as they were. */
function writeSizes(tarballs) {
  const rows = new Map(readTable('sizes').map((cells) => [cells[0], cells]));
  for (const { name, size, unpackedSize, entryCount } of tarballs)
    rows.set(`\`${name}\``, [`\`${name}\``, mega(size), mega(unpackedSize), entryCount]);
  writeTable('sizes', ['package', 'tarball', 'unpacked', 'files'], [...rows.values()]);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({ options: { complete: { type: 'boolean' }, sizes: { type: 'boolean' } } });
  const tarballs = packAll(values);
  for (const { file, size, unpackedSize, entryCount } of tarballs)
    console.log(`${file}  ${mega(size)}, unpacked ${mega(unpackedSize)}, ${entryCount} files`);
  if (values.sizes) writeSizes(tarballs);
}
