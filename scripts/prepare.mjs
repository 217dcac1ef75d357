// What `npm install` does in a checkout: builds the addon, and compiles the TypeScript. The published package has no
// install script; its binaries come in packages of their own.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Whether an earlier build loads and is of this version. */
function built() {
  try {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    return createRequire(import.meta.url)(join(root, 'build/Release/deepcache.node')).version === version;
  } catch {
    return false;
  }
}

// The first `npx deepcache` in a checkout prepares it once more, in silence: npm links the package into a folder of its own.
if (process.env.npm_command === 'exec' && built() && existsSync(join(root, 'dist/lib/cli/main.js')))
  process.exit(0);

if (spawnSync('cmake', ['--version'], { stdio: 'ignore' }).status !== 0 && built()) {
  console.log('deepcache: there is no cmake here; the addon in build/Release loads and is kept as it is');
} else buildNative();
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const { status } = spawnSync(npm, ['run', 'build:ts'], {
  stdio: 'inherit',
  shell: process.platform === 'win32',
});
process.exit(status ?? 1);

function buildNative() {
  console.log('deepcache: building the addon from source, which takes a minute or two the first time');
  const { status } = spawnSync(process.execPath, [join(root, 'scripts/build-native.mjs')], {
    stdio: 'inherit',
  });
  if (status === 0) return;
  console.error(
    'deepcache: the build failed; the reason is above. It needs CMake 3.18+, make or ninja and a C++20 compiler.\n' +
      'deepcache: to try again: npm run build',
  );
  process.exit(status ?? 1);
}
