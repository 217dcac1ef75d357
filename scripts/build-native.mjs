// How a checkout's addon is built: by `npm run build:native`, by scripts/prepare.mjs and, through
// binding.gyp, by node-gyp.
//
//   node scripts/build-native.mjs [--target NAME]
//
// Environment: DEEPCACHE_CUDA=ON|OFF, DEEPCACHE_CUDA_ARCHS=native|release|<list>, CMAKE_BUILD_PARALLEL_LEVEL.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkCache } from './cmake-cache.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');

// Not in build/, which node-gyp owns and wipes: objects survive `node-gyp rebuild`.
const objects = join(root, '.cmake-build');
const common = ['--directory', root, '--out', objects];

function run(...args) {
  const { status } = spawnSync(process.execPath, [cmakeJs, ...args], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

if (spawnSync('cmake', ['--version'], { stdio: 'ignore' }).status !== 0) {
  console.error(
    'deepcache: building from source needs CMake 3.18 or newer and a C++20 compiler; cmake is not on PATH.\n' +
      '  Debian, Ubuntu: apt-get install cmake g++ make    macOS: brew install cmake',
  );
  process.exit(1);
}

const generator = checkCache(objects, root);
// `cmake-js build` configures only a fresh folder, so later changes of an option
// would be ignored; configure always, and pass every option.
run(
  'configure',
  ...common,
  ...(generator ? ['--generator', generator] : []),
  `--CDDEEPCACHE_CUDA=${process.env.DEEPCACHE_CUDA || 'OFF'}`,
  `--CDDEEPCACHE_CUDA_ARCHS=${process.env.DEEPCACHE_CUDA_ARCHS || 'native'}`,
);
const jobs = process.env.CMAKE_BUILD_PARALLEL_LEVEL || String(availableParallelism());
run('build', ...common, '--parallel', jobs, ...process.argv.slice(2));
