// Use a prebuilt binary when there is one that loads here, else build from source.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const fromSource = process.env.npm_config_build_from_source === 'true';

if (!fromSource) {
  // Not build/Release, which in a checkout may be older than the sources.
  process.env.PREBUILDS_ONLY = '1';
  try {
    require('node-gyp-build')(dirname(here));
    console.log('deepcache: the prebuilt binary loads, nothing to build');
    process.exit(0);
  } catch (error) {
    const why = String(error.message).split('\n')[0];
    console.log(`deepcache: no prebuilt binary loads here (${why})`);
  }
}
console.log('deepcache: building from source, which takes a minute or two');
const { status } = spawnSync(process.execPath, [join(here, 'build-native.mjs')], { stdio: 'inherit' });
if (status !== 0) {
  console.error(
    'deepcache: the build failed; the reason is above. It needs CMake 3.18+, make or ninja and a C++20 compiler.\n' +
      'deepcache: to try again: npm rebuild deepcache --foreground-scripts',
  );
}
process.exit(status ?? 1);
