import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '..');
const script = join(root, 'scripts', 'check-symbols.mjs');
// A variable, for TypeScript knows no types of it.
const { symbolProblems } = (await import(script)) as { symbolProblems: (text: string) => string[] };

/** What readelf says of a library, in short. */
const readelf = (libraries: string[], versions: string[]) =>
  [
    'Dynamic section at offset 0x170d38 contains 27 entries:',
    ...libraries.map((name) => ` 0x0000000000000001 (NEEDED)             Shared library: [${name}]`),
    "Version needs section '.gnu.version_r' contains 1 entry:",
    '  000000: Version: 1  File: libc.so.6  Cnt: 1',
    ...versions.map((name) => `  0x0010:   Name: ${name}  Flags: none  Version: 9`),
  ].join('\n');

test('binaries for glibc 2.28 need nothing newer and nothing else', () => {
  const libraries = ['libm.so.6', 'libc.so.6', 'ld-linux-x86-64.so.2', 'ld-linux-aarch64.so.1'];
  const old = ['GLIBC_2.2.5', 'GLIBC_2.17', 'GLIBC_2.28'];
  expect(symbolProblems(readelf(libraries, old))).toEqual([]);
  expect(symbolProblems(readelf(libraries, [...old, 'GLIBC_2.29', 'GLIBC_3.0']))).toEqual([
    'needs GLIBC_2.29',
    'needs GLIBC_3.0',
  ]);
  // Relative relocations packed as only glibc 2.36 unpacks them, and another release's insides.
  for (const version of ['GLIBC_ABI_DT_RELR', 'GLIBC_PRIVATE', 'GLIBCXX_3.4', 'GCC_3.0'])
    expect(symbolProblems(readelf(libraries, [version]))).toEqual([`needs ${version}`]);
  expect(symbolProblems(readelf([...libraries, 'libstdc++.so.6', 'libcuda.so.1'], old))).toEqual([
    'links libstdc++.so.6',
    'links libcuda.so.1',
  ]);
});

test('undefined symbols are Node-APIs, or of a known version', () => {
  const symbol = (binding: string, name: string) =>
    `   5: 0000000000000000     0 FUNC    ${binding}   DEFAULT  UND ${name}`;
  const known = [symbol('GLOBAL', 'napi_throw'), symbol('GLOBAL', 'exp@GLIBC_2.2.5 (3)')];
  expect(symbolProblems([...known, symbol('WEAK  ', '__gmon_start__')].join('\n'))).toEqual([]);
  expect(symbolProblems([...known, symbol('GLOBAL', '_dl_find_object')].join('\n'))).toEqual([
    'needs _dl_find_object, which nothing is known to have',
  ]);
});

const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux('an addon built with the C++ library of this machine is refused', () => {
  const file = join(root, 'build', 'Release', 'deepcache.node');
  const { status, stderr } = spawnSync(process.execPath, [script, file], { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toContain('deepcache.node: links libstdc++.so.6');
});

onLinux('a file that is no library is refused', () => {
  const { status, stderr } = spawnSync(process.execPath, [script, script], { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toContain('not a shared library');
});
