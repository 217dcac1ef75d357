import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

// CUDA's own runtime, as in the library, on a driver that is made here: it tells a version and serves nothing.
const SOURCES = 'test/fixtures/old-driver';
const nvcc = spawnSync('nvcc', ['--version'], { encoding: 'utf8' }).stdout ?? '';
const testWithCuda = process.env.DEEPCACHE_CUDA_LIBRARY && nvcc ? test : test.skip;

testWithCuda('a driver that is too old is named, with the one that is needed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'old-driver-'));
  const count = join(folder, 'count');
  const files = [`${SOURCES}/count.cu`, 'native/cuda/gpu_runtime.cu', 'native/runtime/error.cc'];
  execFileSync('nvcc', [
    '-std=c++20',
    '-O0',
    '-arch=sm_80',
    '-Inative',
    '-I.',
    ...files,
    '-ldl',
    '-o',
    count,
  ]);
  for (const name of ['libcuda', 'libnvidia-ml'])
    execFileSync('cc', ['-shared', '-fPIC', `${SOURCES}/${name}.c`, '-o', join(folder, `${name}.so.1`)]);
  const run = (environment: NodeJS.ProcessEnv) =>
    execFileSync(count, { encoding: 'utf8', env: { PATH: process.env.PATH, ...environment } }).trim();

  const built = /release (\d+\.\d+)/.exec(nvcc)?.[1] ?? '';
  const old = { LD_LIBRARY_PATH: folder, FAKE_DRIVER_CUDA: '11080', FAKE_DRIVER_NUMBER: '520.61.05' };
  expect(run(old)).toBe(
    'the NVIDIA driver 520.61.05 is too old: it supports CUDA 11.8, and this library, ' +
      `built with CUDA ${built}, needs driver ${Number.parseInt(built, 10) >= 13 ? '580' : '525'} or newer`,
  );
  // Without a driver, as here, or where one lies on the path all the same.
  expect(run({})).toMatch(/^(there is no NVIDIA (driver|GPU)|\d+)/);
  rmSync(folder, { recursive: true });
});
