// Builds the binary that is published for a platform, from Linux, whatever the platform:
//
//   node scripts/build-platform.mjs PLATFORM-ARCH [--cuda] [--target NAME]
//
// prebuildify puts it where node-gyp-build looks: prebuilds/PLATFORM-ARCH/deepcache.node. Linux binaries are checked: they
// need glibc 2.28 and nothing else. --cuda (linux-x64, needs nvcc) adds libdeepcache_cuda.so, for the GPUs that
// DEEPCACHE_CUDA_ARCHS names, all that are published without it. --target builds one of CMake's other targets instead,
// such as native_tests, into .cmake-build-PLATFORM-ARCH/bin.
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import prebuildify from 'prebuildify';
import { checkSymbols } from './check-symbols.mjs';
import { build, folderOf, platforms } from './zig-build.mjs';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { cuda: { type: 'boolean', default: false }, target: { type: 'string', default: 'addon' } },
});
const [platform] = positionals;
if (
  positionals.length !== 1 ||
  !platforms.includes(platform) ||
  (values.cuda && (platform !== 'linux-x64' || values.target !== 'addon'))
) {
  console.error(
    `usage: build-platform.mjs PLATFORM [--cuda] [--target NAME]; PLATFORM is ${platforms.join(', ')}`,
  );
  process.exit(2);
}

if (values.target === 'addon') await prebuild();
else build(platform, values.target);

async function prebuild() {
  const here = dirname(fileURLToPath(import.meta.url));
  const root = dirname(here);
  const out = join(root, 'prebuilds', platform);
  rmSync(out, { recursive: true, force: true }); // a CUDA library of an earlier build
  mkdirSync(folderOf(platform), { recursive: true });
  process.env.DEEPCACHE_CUDA = values.cuda ? 'ON' : 'OFF';
  const [os, arch] = platform.split('-');
  await promisify(prebuildify)({
    platform: os,
    arch,
    napi: true,
    name: 'deepcache',
    cwd: folderOf(platform),
    out: root,
    nodeGyp: join(here, 'zig-build.mjs'),
  });
  for (const file of readdirSync(out).map((name) => join(out, name))) {
    if (os === 'linux') checkSymbols(file);
    console.log(`deepcache: ${file}`);
  }
}
