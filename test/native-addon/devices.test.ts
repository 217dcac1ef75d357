import { execFileSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { native } from '../../lib/native/binding.js';
import { backend, codeOf, source } from './tiny-model.js';

test('the CPU is a device', () => {
  const [cpu] = native().devices();
  expect(cpu).toMatchObject({ device: 'cpu', available: true });
  expect(cpu).not.toHaveProperty('reason');
  expect(cpu?.name).toContain(backend.isa);
  const bf16 = new (native().Backend)({ device: 'cpu', threads: 1, dtype: 'bf16' });
  expect(cpu?.name).toContain(bf16.isa);
  expect(['baseline', 'avx2', 'avx512']).toContain(backend.isa);
  expect(backend.device).toBe('cpu');
  expect(backend.threads).toBeGreaterThanOrEqual(1);
  expect(new (native().Backend)({ device: 'cpu', threads: 3 }).threads).toBe(3);
});

test('memory is counted in bytes', () => {
  expect(native().availableMemory()).toBeGreaterThan(1e6);
  if (process.platform !== 'linux') return;
  const before = native().residentMemory();
  const block = Buffer.alloc(64 << 20, 1);
  expect(native().residentMemory() - before).toBeGreaterThan(0.9 * block.length);
});

/** What a script with `addon` prints as JSON, in a process with another environment. */
function inProcess(env: Record<string, string>, script: string) {
  const code = `const addon = require('node-gyp-build')(process.cwd());
    const print = (value) => console.log(JSON.stringify(value)); ${script}`;
  return JSON.parse(
    execFileSync(process.execPath, ['--eval', code], { encoding: 'utf8', env: { ...process.env, ...env } }),
  );
}

test.each([
  [
    'no such library',
    { DEEPCACHE_CUDA_LIBRARY: '/no/such/lib.so' },
    'this installation has no CUDA library (/no/such/lib.so does not exist)',
  ],
  [
    'a file that is no library',
    { DEEPCACHE_CUDA_LIBRARY: `${process.cwd()}/package.json` },
    'the CUDA library could not be loaded: ',
  ],
  [
    'a library of something else',
    { DEEPCACHE_CUDA_LIBRARY: 'ADDON' },
    'the CUDA library belongs to another version of deepcache',
  ],
])('why there is no CUDA: %s', (_, env, reason) => {
  if (env.DEEPCACHE_CUDA_LIBRARY === 'ADDON') {
    env.DEEPCACHE_CUDA_LIBRARY = execFileSync(process.execPath, [
      '--eval',
      "process.stdout.write(require('node-gyp-build').path(process.cwd()))",
    ]).toString();
  }
  const { devices, code, message } = inProcess(
    env,
    `try { new addon.Backend({ device: 'cuda:0', threads: 0 }); }
     catch ({ code, message }) { print({ devices: addon.devices(), code, message }); }`,
  );
  expect(devices[1]).toMatchObject({ device: 'cuda', available: false });
  expect(devices[1]?.reason).toContain(reason);
  expect(code).toBe('ERR_DEEPCACHE_BACKEND_UNAVAILABLE');
  expect(message).toContain(reason);
});

test('a model that needs more memory than there is', () => {
  const { available, code, message } = inProcess(
    { DEEPCACHE_MEMORY_LIMIT: '1000000' },
    `addon.loadUnet(new addon.Backend({ device: 'cpu', threads: 1 }), ${JSON.stringify(source('unet'))}).promise
       .catch(({ code, message }) => print({ available: addon.availableMemory(), code, message }));`,
  );
  expect(available).toBe(1_000_000);
  expect(code).toBe('ERR_DEEPCACHE_OUT_OF_MEMORY');
  expect(message).toMatch(/weights of .*unet.* MiB of memory, but only 976\.56 KiB are available/);
});

test('an instruction set that is not there is reported, not fatal', () => {
  const devices = inProcess({ DEEPCACHE_ISA: 'sse9' }, 'print(addon.devices())');
  expect(devices[0]).toMatchObject({ device: 'cpu', available: false });
  expect(devices[0]?.reason).toContain('DEEPCACHE_ISA=sse9');
});

test.each(['cuda:', 'cuda:x', 'cuda0', 'CPU', ''])('"%s" is no device', async (device) => {
  const code = await codeOf(() => new (native().Backend)({ device, threads: 0 }));
  expect(code).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
});
