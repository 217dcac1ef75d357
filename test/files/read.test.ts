import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DeepCacheError } from '../../lib/errors.js';
import { isMissing, readSmallFile, readSmallFileSync } from '../../lib/files/read.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-'));
  writeFileSync(join(folder, 'ten'), '0123456789');
  writeFileSync(join(folder, 'empty'), '');
  symlinkSync(join(folder, 'ten'), join(folder, 'link'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Both ways of reading: they must say the same. */
const ways = [
  ['readSmallFile', (path: string, max: number) => readSmallFile(path, max)],
  ['readSmallFileSync', async (path: string, max: number) => readSmallFileSync(path, max)],
] as const;

describe.each(ways)('%s', (_, read) => {
  test.each([
    ['ten', '0123456789'],
    ['link', '0123456789'],
    ['empty', ''],
  ])('reads %s', async (name, text) => {
    expect((await read(join(folder, name), 10)).toString()).toBe(text);
  });

  test.each([
    ['ten', /ten: has 10 bytes; at most 9 are read/],
    ['nowhere', /nowhere: cannot be read: ENOENT/],
    ['', /: is a folder, not a file/],
    ['pipe', /pipe: is a pipe, not a file/],
    ['/dev/zero', /zero: is a device, not a file/],
    ['nul\0name', /cannot be read: .*null bytes/],
  ])('refuses %j', async (name, message) => {
    const path = name.startsWith('/') ? name : join(folder, name);
    await expect(read(path, 9)).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_CONFIG',
      message: expect.stringMatching(message),
    });
  });

  test('reads no further than its limit where the size is a lie', async () => {
    // Files of the kernel say that they are empty.
    expect((await read('/proc/self/status', 2 ** 20)).toString()).toContain('Name:');
    await expect(read('/proc/self/status', 100)).rejects.toThrow(/at most 100 are read/);
  });

  test('looks at the size before it reads', async () => {
    const huge = join(folder, 'huge');
    writeFileSync(huge, '');
    truncateSync(huge, 2 ** 40);
    await expect(read(huge, 1000)).rejects.toThrow(/has 1099511627776 bytes/);
  });
});

test('a socket is no file', async () => {
  const path = join(folder, 'socket');
  const server = createServer().listen(path);
  await new Promise((resolve) => server.once('listening', resolve));
  await expect(readSmallFile(path, 10)).rejects.toThrow(/socket: (is a socket|cannot be read: E)/);
  await new Promise((resolve) => server.close(resolve));
});

test('pipes take no thread away from other files', async () => {
  const pipes = Array.from({ length: 8 }, () =>
    readSmallFile(join(folder, 'pipe'), 10).catch(() => 'refused'),
  );
  expect(await Promise.all(pipes)).toEqual(Array(8).fill('refused'));
  expect(await readFile(join(folder, 'ten'), 'utf8')).toBe('0123456789');
});

test('a signal is heard at once, before and while reading', async () => {
  const aborted = AbortSignal.abort(new Error('enough'));
  await expect(readSmallFile(join(folder, 'ten'), 10, { signal: aborted })).rejects.toThrow('enough');
  const stop = new AbortController();
  const reading = readSmallFile(join(folder, 'ten'), 10, { signal: stop.signal });
  stop.abort(new Error('later'));
  await expect(reading).rejects.toThrow('later');
});

test('errors of other kinds, and files that are not there', async () => {
  const fail = (path: string, message: string, options?: ErrorOptions) =>
    new DeepCacheError('ERR_DEEPCACHE_IMAGE', `${path} ${message}`, options);
  const error = await readSmallFile(join(folder, 'nowhere'), 10, { fail }).catch((error) => error);
  expect(error.code).toBe('ERR_DEEPCACHE_IMAGE');
  expect(isMissing(error)).toBe(true);
  expect(isMissing(await readSmallFile(folder, 10).catch((error) => error))).toBe(false);
});

test('a file that grows while it is read', async () => {
  const path = join(folder, 'grows');
  writeFileSync(path, 'a'.repeat(1000));
  const reading = readSmallFile(path, 5000);
  appendFileSync(path, 'b'.repeat(1000));
  expect([1000, 2000]).toContain((await reading).length);
});
