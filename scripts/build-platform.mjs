// Builds the binary that is published for a platform, from Linux, whatever the platform:
//
//   node scripts/build-platform.mjs PLATFORM-ARCH [--cuda] [--target NAME]
//
// It writes prebuilds/PLATFORM-ARCH/deepcache.node, the place and name that prebuildify gives it and node-gyp-build
// looks for. Linux binaries are checked: they need glibc 2.28 and nothing else. --cuda (linux-x64, needs nvcc) adds
// libdeepcache_cuda.so. --target builds one of CMake's other targets instead, such as native_tests, into
// .cmake-build-PLATFORM-ARCH/bin.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { checkSymbols } from './check-symbols.mjs';
import { zigEnvironment } from './zig.mjs';

const triples = {
  'linux-x64': 'x86_64-linux-gnu.2.28',
  'linux-arm64': 'aarch64-linux-gnu.2.28',
  'darwin-arm64': 'aarch64-macos.12.0',
  'win32-x64': 'x86_64-windows-gnu',
};

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { cuda: { type: 'boolean', default: false }, target: { type: 'string', default: 'addon' } },
});
const [platform] = positionals;
const triple = triples[platform];
if (positionals.length !== 1 || !triple || (values.cuda && platform !== 'linux-x64')) {
  console.error(
    `usage: build-platform.mjs PLATFORM [--cuda] [--target NAME]; PLATFORM is ${Object.keys(triples).join(', ')}`,
  );
  process.exit(2);
}

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(root, 'prebuilds', platform);
const env = { ...process.env, ...zigEnvironment(), DEEPCACHE_ZIG_TARGET: triple };

function cmake(...args) {
  const { status, error } = spawnSync('cmake', args, { cwd: root, env, stdio: 'inherit' });
  if (error) console.error(`cmake: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function build(objects, target, ...options) {
  cmake('-S', root, '-B', objects, `-DDEEPCACHE_OUT=${out}`, ...options);
  cmake('--build', objects, '--parallel', String(availableParallelism()), '--target', target);
}

// Not through cmake-js, which configures for the system that it runs on.
const require = createRequire(import.meta.url);
const { include_dir, def_paths } = require('node-api-headers');
const headers = [include_dir, dirname(require.resolve('node-addon-api'))];
build(
  join(root, `.cmake-build-${platform}`),
  values.target,
  `-DCMAKE_TOOLCHAIN_FILE=${join(root, 'cmake', 'Zig.cmake')}`,
  '-DCMAKE_CXX_COMPILER_LAUNCHER=', // ccache does not know this compiler
  '-DCMAKE_MODULE_LINKER_FLAGS=-s', // strip
  `-DCMAKE_JS_INC=${headers.join(';')}`,
  ...(platform.startsWith('win32') ? [`-DDEEPCACHE_NODE_DEF=${def_paths.node_api_def}`] : []),
);
if (values.target !== 'addon') process.exit();

const files = [join(out, 'deepcache.node')];
if (values.cuda) {
  build(
    join(root, `.cmake-build-${platform}-cuda`),
    'cuda_backend',
    '-DDEEPCACHE_CUDA=ON',
    '-DDEEPCACHE_CUDA_ARCHS=release',
    `-DDEEPCACHE_ZIG=${env.DEEPCACHE_ZIG}`,
  );
  files.push(join(out, 'libdeepcache_cuda.so'));
}
for (const file of files) {
  if (platform.startsWith('linux')) checkSymbols(file);
  console.log(`deepcache: ${file}`);
}
