// The package managers and Node.js versions that a release is tried with, all from the registry.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { root } from './platforms.mjs';

const TOOLS = join(root, 'release/tools');

/** Installs a package into a folder of its own, once, and returns its folder. */
export function tool(spec, extra = []) {
  const name = spec.replace(/(?!^)@.*$/, '');
  const folder = join(TOOLS, spec.replace(/[@/]/g, '_'));
  const installed = join(folder, 'node_modules', name);
  if (existsSync(join(installed, 'package.json'))) return installed;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  console.log(`installing ${spec}`);
  const options = ['--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--loglevel=error'];
  execFileSync('npm', ['install', ...options, ...extra, spec], {
    cwd: folder,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  return installed;
}

const system = process.platform === 'win32' ? 'win' : process.platform;

/** The executable of a major version of Node.js. */
export function nodeOf(major) {
  if (major === undefined) return process.execPath;
  return join(tool(`node-${system}-${process.arch}@${major}`), 'bin', basename(process.execPath));
}

/** npm's own scripts beside the node that runs this. */
export function currentNpm() {
  const cli = process.env.npm_execpath;
  if (cli?.endsWith('npm-cli.js')) return dirname(dirname(cli));
  const which = execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim();
  return dirname(dirname(realpathSync(which)));
}

/** `node` runs scripts in the project; `files` are settings of the project beside its .npmrc. */
const npm = (folder) => ({
  install: (node, tarball) => [node, join(folder, 'bin/npm-cli.js'), 'install', tarball],
  run: (node) => [node, join(folder, 'bin/npx-cli.js'), 'deepcache'],
  script: (node) => [node],
});

const pnpm = (command) => ({
  install: (node, tarball) => [...command(node), 'add', tarball],
  run: (node) => [...command(node), 'exec', 'deepcache'],
  script: (node) => [node],
});

const yarn = (folder, linker) => ({
  install: (node, tarball) => [
    node,
    join(folder, 'bin/yarn.js'),
    'add',
    linker ? `deepcache@file:${tarball}` : `file:${tarball}`,
  ],
  run: (node) => [node, join(folder, 'bin/yarn.js'), 'run', 'deepcache'],
  script: (node) => (linker === 'pnp' ? [node, join(folder, 'bin/yarn.js'), 'node'] : [node]),
  ...(linker && {
    files: ({ registry, cafile, scope }) => ({
      'yarn.lock': '',
      '.yarnrc.yml': [
        `nodeLinker: ${linker}`,
        `npmRegistryServer: "${registry}"`,
        `npmScopes: { deepcache: { npmRegistryServer: "${scope}" } }`,
        'unsafeHttpWhitelist: ["127.0.0.1"]',
        'enableTelemetry: false',
        ...(cafile ? [`httpsCaFilePath: "${cafile}"`] : []),
        '',
      ].join('\n'),
    }),
  }),
});

const bun = (file) => ({
  install: (_, tarball) => [file, 'add', tarball],
  run: () => [file, 'x', 'deepcache'],
  script: (node) => [node],
});

/** By name: what makes the manager, and the Node.js versions that it does not run on. */
export const MANAGERS = {
  'npm 10': { make: () => npm(tool('npm@10')) },
  'npm 11': { make: () => npm(tool('npm@11')) },
  'npm 12': { make: () => npm(tool('npm@12')), without: [20] },
  'pnpm 10': { make: () => pnpm((node) => [node, join(tool('pnpm@10'), 'bin/pnpm.cjs')]) },
  'pnpm 12': {
    make: () => {
      const folder = join(tool('pnpm@12'), '..', `@pnpm/exe.${process.platform}-${process.arch}`);
      return pnpm(() => [join(folder, 'pnpm')]);
    },
  },
  'yarn 1': { make: () => yarn(tool('yarn@1')) },
  'yarn 4 (node-modules)': { make: () => yarn(tool('@yarnpkg/cli-dist@4'), 'node-modules') },
  'yarn 4 (PnP)': { make: () => yarn(tool('@yarnpkg/cli-dist@4'), 'pnp') },
  bun: { make: () => bun(join(tool(`@oven/bun-${process.platform}-${process.arch}@1`), 'bin/bun')) },
  'npm here': { make: () => npm(currentNpm()) },
};
