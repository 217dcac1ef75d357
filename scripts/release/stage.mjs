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
  for (const file of files) copy(join(root, file), join(folder, file));
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
    type: 'commonjs',
    main: isAddon ? `prebuilds/${platform}/${file}` : file,
    files: [isAddon ? 'prebuilds' : file],
    preferUnplugged: true,
  });
}

/** `npm pack` of a folder; returns the tarball's path, size and the bytes it unpacks to. */
export function pack(folder, destination) {
  const text = execFileSync('npm', ['pack', '--json', '--pack-destination', destination], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  });
  const [{ filename, size, unpackedSize, entryCount }] = Object.values(JSON.parse(text)); // npm 12 has an object
  return { file: join(destination, filename), size, unpackedSize, entryCount };
}

/**
 * The tracked files that package.json names for the package, and those that npm always takes. Not asked of npm, which
 * builds the checkout first (`prepare`, in npm 10 even with --ignore-scripts).
 */
export function packedFiles() {
  const always = ['package.json', 'README.md', 'LICENSE'];
  const named = checkout.files.map((file) => file.replace(/^!/, ':(exclude)'));
  const args = ['ls-files', '--', ...always, ...named];
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim().split('\n');
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
