#!/usr/bin/env node
// Compiles for any platform with Zig. prebuildify runs this file where it would run node-gyp, which knows only the
// system it runs on: in the folder whose build/Release it looks into, with the platform in its environment.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkCache } from './cmake-cache.mjs';
import { zigEnvironment } from './zig.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const triples = {
  'linux-x64': 'x86_64-linux-gnu.2.28',
  'linux-arm64': 'aarch64-linux-gnu.2.28',
  'darwin-arm64': 'aarch64-macos.12.0',
  'win32-x64': 'x86_64-windows-gnu',
};
export const platforms = Object.keys(triples);

/** Where everything for a platform is built; results for prebuildify in build/Release. */
export const folderOf = (platform) => join(root, `.cmake-build-${platform}`);

/** Builds a target of CMake; 'cuda_backend' with nvcc and this machine's GCC, linked by Zig. */
export function build(platform, target) {
  const env = { ...process.env, ...zigEnvironment(), DEEPCACHE_ZIG_TARGET: triples[platform] };
  const isCuda = target === 'cuda_backend';
  if (!isCuda) Object.assign(env, tellCcache(env));
  const objects = isCuda ? `${folderOf(platform)}-cuda` : folderOf(platform);
  checkCache(objects, root);
  const common = [
    `-DDEEPCACHE_OUT=${join(folderOf(platform), 'build', 'Release')}`,
    `-DDEEPCACHE_ZIG=${env.DEEPCACHE_ZIG}`,
  ];
  const options = isCuda ? cudaOptions() : zigOptions(platform);
  cmake(env, '-S', root, '-B', objects, ...common, ...options);
  const jobs = process.env.CMAKE_BUILD_PARALLEL_LEVEL || String(availableParallelism());
  cmake(env, '--build', objects, '--parallel', jobs, '--target', target);
}

/** The compiler is a shell script to ccache, which would go by the date of that. */
function tellCcache(env) {
  const version = spawnSync(env.DEEPCACHE_ZIG, ['version'], { env, encoding: 'utf8' }).stdout;
  return { CCACHE_COMPILERTYPE: 'clang', CCACHE_COMPILERCHECK: `string:zig ${version}` };
}

function cudaOptions() {
  return ['-DDEEPCACHE_CUDA=ON', `-DDEEPCACHE_CUDA_ARCHS=${process.env.DEEPCACHE_CUDA_ARCHS || 'release'}`];
}

/** Not through cmake-js, which configures for the system that it runs on. */
function zigOptions(platform) {
  const require = createRequire(import.meta.url);
  const { include_dir, def_paths } = require('node-api-headers');
  const headers = [include_dir, dirname(require.resolve('node-addon-api'))];
  return [
    `-DCMAKE_TOOLCHAIN_FILE=${join(root, 'cmake', 'Zig.cmake')}`,
    '-DCMAKE_MODULE_LINKER_FLAGS=-s', // strip
    `-DCMAKE_JS_INC=${headers.join(';')}`,
    ...(platform.startsWith('win32') ? [`-DDEEPCACHE_NODE_DEF=${def_paths.node_api_def}`] : []),
  ];
}

function cmake(env, ...args) {
  const { status, error } = spawnSync('cmake', args, { cwd: root, env, stdio: 'inherit' });
  if (error) console.error(`cmake: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const platform = `${process.env.PREBUILD_PLATFORM}-${process.env.PREBUILD_ARCH}`;
  build(platform, 'addon');
  if (process.env.DEEPCACHE_CUDA === 'ON') build(platform, 'cuda_backend');
}
