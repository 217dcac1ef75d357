import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';

// Not TypeScript: scripts run without being built.
const { checkCache } = await import(`${process.cwd()}/scripts/cmake-cache.mjs`);
const { fileLinks, packedLinks } = await import(`${process.cwd()}/scripts/release/links.mjs`);
const { packedFiles } = await import(`${process.cwd()}/scripts/release/stage.mjs`);

const scratch = mkdtempSync(join(tmpdir(), 'deepcache-release-'));
afterAll(() => rmSync(scratch, { recursive: true }));

describe('what is packed', () => {
  const files: string[] = packedFiles();

  test('has what runs and what can be built from', () => {
    for (const file of [
      'CMakeLists.txt',
      'LICENSE',
      'README.md',
      'cmake/Addon.cmake',
      'docs/cuda.md',
      'lib/judge/prototypes.json',
      'lib/pages/compare.css',
      'lib/pages/compare.js',
      'lib/pages/quality.css',
      'lib/pages/quality.js',
      'models/demo/model_index.json',
      'native/addon/addon.cc',
      'native/cuda/api.cu',
    ])
      expect(files).toContain(file);
  });

  test('has nothing twice, no maps, no tests, no training, no emulator, nothing that npm would build by itself', () => {
    const unwanted =
      /\.[jt]s\.map$|^(lib|weights-tools)\/.*\.ts$|\.py$|emulator|^(test|bench|scripts|prebuilds|build)\/|binding\.gyp/;
    expect(files.filter((file) => unwanted.test(file))).toEqual([]);
    const { compilerOptions } = JSON.parse(readFileSync('tsconfig.build.json', 'utf8'));
    expect(compilerOptions).not.toHaveProperty('sourceMap');
    expect(compilerOptions).not.toHaveProperty('declarationMap');
  });

  test('package.json names the project, and runs nothing where the package is installed', () => {
    const { scripts, dependencies, ...file } = JSON.parse(readFileSync('package.json', 'utf8'));
    for (const name of ['install', 'preinstall', 'postinstall']) expect(scripts).not.toHaveProperty(name);
    expect(Object.keys(dependencies)).toEqual([
      '@fastify/cors',
      '@fastify/multipart',
      '@fastify/rate-limit',
      '@fastify/swagger',
      '@huggingface/hub',
      '@opentelemetry/api',
      '@sinclair/typebox',
      'commander',
      'fastify',
      'node-gyp-build',
      'prom-client',
      'sharp',
      'yaml',
    ]);
    expect(file.repository.url).toMatch(/^git\+https:/);
    expect(file).toMatchObject({ homepage: expect.any(String), bugs: expect.any(String), gypfile: false });
  });
});

describe('links between pages', () => {
  const pages = [
    'README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    ...readdirSync('docs').map((name) => `docs/${name}`),
  ];

  test.each(pages.filter((page) => page.endsWith('.md')))('all of %s lead to a file', (page) => {
    const links: string[] = fileLinks(readFileSync(page, 'utf8'), page);
    expect(links.filter((link) => !existsSync(link))).toEqual([]);
  });

  test('in the package, those to files that are not in it lead to the repository', () => {
    const packed = new Set(['docs/cuda.md', 'docs/page.md', 'models/demo/README.md']);
    const project = { homepage: 'https://example.org/project#readme', version: '1.2.3' };
    const text =
      'See [a](cuda.md#tiles), [b](../bench/x.md#top), [demo](../models/demo), [web](https://a.org), [c](#here)';
    expect(packedLinks(text, 'docs/page.md', packed, project)).toBe(
      'See [a](cuda.md#tiles), [b](https://example.org/project/blob/v1.2.3/bench/x.md#top), [demo](../models/demo), ' +
        '[web](https://a.org), [c](#here)',
    );
  });
});

describe('a build folder of CMake', () => {
  const root = join(scratch, 'checkout');
  const folder = join(root, '.cmake-build');
  const fill = (values: Record<string, string>) => {
    mkdirSync(folder, { recursive: true });
    const lines = Object.entries(values).map(([name, value]) => `${name}:INTERNAL=${value}`);
    writeFileSync(join(folder, 'CMakeCache.txt'), `${lines.join('\n')}\n`);
  };
  const own = { CMAKE_HOME_DIRECTORY: root, CMAKE_CACHEFILE_DIR: folder, CMAKE_GENERATOR: 'Ninja' };

  test('is kept where it was made, with its generator', () => {
    fill({ ...own, CMAKE_CXX_COMPILER: process.execPath });
    expect(checkCache(folder, root)).toBe('Ninja');
    expect(existsSync(folder)).toBe(true);
  });

  test.each([
    ['of a checkout that was moved', { CMAKE_HOME_DIRECTORY: '/elsewhere/checkout' }],
    ['of a checkout that was copied', { CMAKE_HOME_DIRECTORY: tmpdir(), CMAKE_CACHEFILE_DIR: tmpdir() }],
    ['of a compiler that is gone', { CMAKE_CXX_COMPILER: '/no/such/compiler' }],
    ['of a Zig that is gone', { DEEPCACHE_ZIG: '/no/such/zig' }],
    ['of a make that is gone', { CMAKE_MAKE_PROGRAM: '/no/such/make' }],
  ])('%s is thrown away', (_, values) => {
    fill({ ...own, ...values });
    expect(checkCache(folder, root)).toBeUndefined();
    expect(existsSync(folder)).toBe(false);
  });

  test('need not be there', () => {
    expect(checkCache(join(scratch, 'none'), root)).toBeUndefined();
  });
});
