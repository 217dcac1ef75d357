// Fails when a Linux binary needs more than every supported system has: glibc newer than 2.28 (Debian 10, RHEL 8,
// Ubuntu 18.10), or a library that is not part of it, the C++ library above all.
//
//   node scripts/check-symbols.mjs FILE...
import { spawnSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';

const newestGlibc = [2, 28];
const libraries = /^(lib(c|m|dl|pthread|rt)\.so\.\d|ld-linux-[\w-]+\.so\.\d)$/;

/** Everything that is wrong with a file, given what `readelf --dynamic --version-info --dyn-syms --wide` says of it. */
export function symbolProblems(text) {
  const problems = [];
  const needed = [...text.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map((match) => match[1]);
  for (const name of needed) if (!libraries.test(name)) problems.push(`links ${name}`);
  const versions = [...text.matchAll(/^ .*\bName: (\S+)\s+Flags:/gm)].map((match) => match[1]);
  for (const version of new Set(versions)) if (tooNew(version)) problems.push(`needs ${version}`);
  // Of glibc every symbol has a version; without one nobody is known to have it. Node.js has Node-API's.
  for (const [, name] of text.matchAll(/\bGLOBAL\s+\w+\s+UND\s+([^\s@]+)$/gm))
    if (!/^(napi|node_api)_/.test(name)) problems.push(`needs ${name}, which nothing is known to have`);
  return problems;
}

function tooNew(version) {
  const [, major, minor] = /^GLIBC_(\d+)\.(\d+)/.exec(version) ?? [];
  return !major || (major - newestGlibc[0] || minor - newestGlibc[1]) > 0;
}

/** Throws an error that names the file and all its problems. */
export function checkSymbols(file) {
  const { stdout, stderr, status, error } = spawnSync(
    'readelf',
    ['--dynamic', '--version-info', '--dyn-syms', '--wide', file],
    { encoding: 'utf8', maxBuffer: 1 << 28 },
  );
  if (error) throw new Error(`readelf (of binutils) does not run: ${error.message}`);
  if (status !== 0 || !stdout.includes('Dynamic section'))
    throw new Error(`${file}: not a shared library that readelf can read. ${stderr.trim()}`);
  const problems = symbolProblems(stdout);
  if (problems.length > 0) throw new Error(`${file}: ${problems.join(', ')}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const file of process.argv.slice(2)) {
    try {
      checkSymbols(file);
      console.log(`${file}: ok`);
    } catch (error) {
      console.error(error.message);
      process.exitCode = 1;
    }
  }
}
