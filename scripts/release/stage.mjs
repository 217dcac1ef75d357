// Lays out what is packed, in folders of its own: the checkout's package.json is for those who work on it.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { packedLinks } from './links.mjs';
import { root } from './platforms.mjs';

const require = createRequire(import.meta.url);
const checkout = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
export const { version } = checkout;

/** What all packages say about the project. */
const { author, bugs, engines, homepage, license, repository } = checkout;
const common = { version, author, bugs, engines, homepage, license, repository };

/** The package `deepcache`: `packages` are its optional dependencies. */
export function stageMain(folder, packages) {
  const files = packedFiles();
  for (const file of files) if (!file.startsWith('dist/')) copy(join(root, file), join(folder, file));
  compile(join(folder, 'dist'));
  for (const file of Object.values(checkout.bin)) chmodSync(join(folder, file), 0o755);
  copyHeaders(join(folder, 'native/node-api'));
  for (const file of files.filter((name) => name.endsWith('.md'))) {
    const text = readFileSync(join(folder, file), 'utf8');
    writeFileSync(join(folder, file), packedLinks(text, file, new Set(files), checkout));
  }
  const { scripts, devDependencies, binary, gypfile, ...file } = checkout;
  const optionalDependencies = Object.fromEntries(packages.map(({ name }) => [name, version]));
  // Without install scripts nothing says that Yarn must unpack it, which `deepcache build` needs.
  writeJson(join(folder, 'package.json'), { ...file, optionalDependencies, preferUnplugged: true });
}

/** A package with a binary. Addons lie where node-gyp-build looks; the CUDA library is the package's main file. */
export function stagePlatform(folder, { name, kind, os, cpu, libc, platform, file, source }) {
  const isAddon = kind === 'addon';
  copy(source, join(folder, isAddon ? join('prebuilds', platform, file) : file));
  copy(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  const what = isAddon ? 'The native binary' : 'The CUDA library';
  const description = `${what} of deepcache for ${platform}${libc ? ` (${libc})` : ''}`;
  writeFileSync(
    join(folder, 'README.md'),
    `# ${name}\n\n${description}. Comes with [deepcache](${checkout.homepage}); there is no need to install it by itself.\n`,
  );
  writeJson(join(folder, 'package.json'), {
    name,
    description,
    ...common,
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
    main: isAddon ? `prebuilds/${platform}/${file}` : file,
    files: [isAddon ? 'prebuilds' : file],
    preferUnplugged: true,
  });
}

/** `npm pack` of a folder; returns the tarball's path, size and the bytes it unpacks to. */
export function pack(folder, destination) {
  const [{ filename, size, unpackedSize, entryCount }] = npmPack(folder, '--pack-destination', destination);
  return { file: join(destination, filename), size, unpackedSize, entryCount };
}

/**
 * The files of the checkout that its package.json names for the package. Not the binary, which is there for those who
 * install from the repository: npm packs what `prepare` has built on their machine.
 */
export function packedFiles() {
  const files = npmPack(root, '--dry-run')[0].files.map(({ path }) => path);
  return files.filter((file) => !file.startsWith('build/'));
}

function npmPack(folder, ...args) {
  const text = execFileSync('npm', ['pack', '--json', '--ignore-scripts', ...args], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  });
  const found = JSON.parse(text);
  return Array.isArray(found) ? found : Object.values(found); // npm 12 names each package
}

/** dist/ afresh: that of the checkout may hold modules that are gone. */
function compile(outDir) {
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  const args = [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', outDir];
  if (spawnSync(process.execPath, args, { stdio: 'inherit' }).status !== 0)
    throw new Error('tsc reported errors');
}

/** What `deepcache build` compiles against, since cmake-js and node-addon-api are not installed with the package. */
function copyHeaders(folder) {
  const of = (name) => dirname(require.resolve(`${name}/package.json`));
  const addonApi = of('node-addon-api');
  const headers = of('node-api-headers');
  for (const name of readdirSync(addonApi).filter((file) => /\.h$/.test(file)))
    copy(join(addonApi, name), join(folder, name));
  cpSync(join(headers, 'include'), folder, { recursive: true });
  copy(join(headers, 'def/node_api.def'), join(folder, 'node_api.def'));
  copy(join(headers, 'LICENSE'), join(folder, 'LICENSE-node-api-headers'));
  copy(join(addonApi, 'LICENSE.md'), join(folder, 'LICENSE-node-addon-api.md'));
  const hook = 'lib/cpp/win_delay_load_hook.cc';
  copy(join(of('cmake-js'), hook), join(folder, 'win_delay_load_hook.cc'));
}

function copy(from, to) {
  if (!existsSync(from)) throw new Error(`${from} is missing`);
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true });
}

function writeJson(file, value) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}
