// Writes prebuilds/<platform>-<arch>/: the addon and, next to it, the CUDA library where
// DEEPCACHE_CUDA=ON. The same as `npx prebuildify --napi --strip`, without the network.
// For the C library of this machine: run it on the oldest that is supported.
import { cpSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import prebuildify from 'prebuildify';

const here = dirname(fileURLToPath(import.meta.url));
process.chdir(dirname(here));
process.env.npm_config_nodedir = join(here, 'nodedir');
process.env.DEEPCACHE_CUDA_ARCHS ||= 'release';

prebuildify({ napi: true, strip: true }, (error) => {
  if (error) throw error;
  // prebuildify moves what was built, and the checkout loads it from there.
  cpSync(`prebuilds/${process.platform}-${process.arch}`, 'build/Release', { recursive: true });
});
