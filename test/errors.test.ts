import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { DeepCacheError, ERROR_CODES, invalidArgument } from '../lib/errors.js';
import { native } from '../lib/native/binding.js';
import { finish, openBackend } from '../lib/native/device.js';

test('invalidArgument names the argument', () => {
  expect(invalidArgument('steps', 'must be at least 1, got 0')).toMatchObject({
    code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
    message: 'steps must be at least 1, got 0',
  });
});

test('every code is documented with its meaning', () => {
  const page = readFileSync('docs/errors.md', 'utf8');
  for (const [code, meaning] of Object.entries(ERROR_CODES))
    expect(page).toContain(`| \`${code}\` | ${meaning} |`);
  expect(page.match(/^\| `ERR_/gm)).toHaveLength(Object.keys(ERROR_CODES).length);
});

test('a message shows control characters, and does not hand them on', () => {
  expect(invalidArgument('x\x1b[2J', 'y\u202e').message).toBe('x\\u001b[2J y\\u202e');
});

describe('an error of native code', () => {
  test('is a DeepCacheError, thrown or rejected with', async () => {
    const read = () => new (native().SafetensorsFile)('/no/such.safetensors');
    expect(read).toThrow(DeepCacheError);
    expect(read).toThrow(
      expect.objectContaining({ name: 'DeepCacheError', code: 'ERR_DEEPCACHE_INVALID_WEIGHTS' }),
    );
    const backend = openBackend({ device: 'cpu' });
    const error = await native()
      .loadUnet(backend, { config: '{}', files: ['/no/such.safetensors'] })
      .promise.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DeepCacheError);
    expect((error as DeepCacheError).toJSON()).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_WEIGHTS' });
  });

  test('names an option as its users do', () => {
    const make = () => new (native().Backend)({ device: 'cpu', threads: -1 });
    expect(make).toThrow(/^threads must be an integer/);
  });

  test('of a job has the stack of who waited for it', async () => {
    const job = () =>
      native().loadUnet(openBackend({ device: 'cpu' }), { config: '{}', files: ['/no/such.safetensors'] });
    await expect(finish(job)).rejects.toThrow(
      expect.objectContaining({ stack: expect.stringContaining('errors.test.ts') }),
    );
  });

  test('shows control characters', () => {
    const read = () => new (native().SafetensorsFile)('/no/\x1b[2J.safetensors');
    expect(read).toThrow(/u001b/);
  });
});

test('every worker has a class of its own, and its native errors are of it', () => {
  const lib = (name: string) => JSON.stringify(pathToFileURL(resolve(`lib/${name}.js`)).href);
  const code = `
    import { once } from 'node:events';
    import { isMainThread, parentPort, Worker } from 'node:worker_threads';
    import { register } from ${JSON.stringify(import.meta.resolve('tsx/esm/api'))};
    register();
    const { DeepCacheError } = await import(${lib('errors')});
    const { native } = await import(${lib('native/binding')});
    const check = async () => {
      const backend = new (native().Backend)({ device: 'cpu', threads: 1 });
      const { promise } = native().loadUnet(backend, { config: '{}', files: ['/no/such.safetensors'] });
      const rejected = await promise.catch((error) => error instanceof DeepCacheError && error.code);
      try {
        new (native().SafetensorsFile)('/no/such.safetensors');
      } catch (error) {
        return [rejected, error instanceof DeepCacheError && error.code];
      }
    };
    if (isMainThread) {
      const before = await check();
      const workers = [0, 1].map(() => new Worker(new URL(import.meta.url)));
      const answers = await Promise.all(workers.map((worker) => once(worker, 'message')));
      await Promise.all(workers.map((worker) => worker.terminate()));
      console.log(JSON.stringify([before, ...answers.flat(), await check()]));
    } else parentPort.postMessage(await check());`;
  const folder = mkdtempSync(join(tmpdir(), 'deepcache-errors-'));
  const file = join(folder, 'main.mjs');
  writeFileSync(file, code);
  try {
    const printed = execFileSync(process.execPath, [file], { encoding: 'utf8' });
    const codes = ['ERR_DEEPCACHE_INVALID_WEIGHTS', 'ERR_DEEPCACHE_INVALID_WEIGHTS'];
    expect(JSON.parse(printed)).toEqual([codes, codes, codes, codes]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
