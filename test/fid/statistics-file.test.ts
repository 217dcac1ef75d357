import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readStatistics, writeStatistics } from '../../lib/fid/index.js';
import { toNpy } from '../../lib/fid/npy.js';
import { fuzzRandom, mutated, rounds, settles } from '../fuzz.js';
import { rejection } from '../pipelines/tiny.js';
import { zip } from '../weights/torch-writer.js';
import { FIXTURES } from './inception-files.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-stats-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const array = (shape: number[], ...values: number[]) => toNpy({ shape, data: Float64Array.from(values) });
const mu = array([2], 1, 2);
const sigma = array([2, 2], 2, 1, 1, 2);

async function read(bytes: Uint8Array, width = 2) {
  const path = join(folder, 'a.npz');
  writeFileSync(path, bytes);
  return readStatistics(path, width);
}

test("NumPy's files are read, stored and deflated", async () => {
  const stored = await readStatistics(join(FIXTURES, 'stored.npz'), 3);
  expect([...stored.mu]).toEqual([1, 2, 3]);
  expect([...stored.sigma]).toEqual([4, 0, 0, 0, 5, 0, 0, 0, 6]);
  // fp32, columns first, the arrays the other way round, one more array.
  const packed = await readStatistics(join(FIXTURES, 'compressed.npz'), 3);
  expect([...packed.mu]).toEqual([1, 2, 3]);
  expect([...packed.sigma]).toEqual([4.5, 0.5, 0.5, 0.5, 5.5, 0.5, 0.5, 0.5, 6.5]);
});

test('what is written is read again, bit for bit', async () => {
  const path = join(folder, 'written.npz');
  const statistics = {
    mu: Float64Array.of(Math.PI, -1e-300),
    sigma: Float64Array.of(0.1, 0.2 / 3, 0.2 / 3, 1e9),
  };
  await writeStatistics(path, statistics);
  expect(await readStatistics(path, 2)).toEqual(statistics);
  // The header ends where NumPy's does.
  const header = readFileSync(path).subarray(30 + 'mu.npy'.length, 30 + 'mu.npy'.length + 128);
  const [start, text] = [header.subarray(0, 10).toString('latin1'), header.subarray(10).toString('latin1')];
  expect(start).toBe('\x93NUMPY\x01\0v\0');
  expect(text).toMatch(/^\{'descr': '<f8', 'fortran_order': False, 'shape': \(2,\), \} +\n$/);
});

const good = { 'mu.npy': mu, 'sigma.npy': sigma };
const edited = (bytes: Buffer, from: string, to: string) =>
  Buffer.from(bytes.toString('latin1').replace(from, to.padEnd(from.length)), 'latin1');

test.each<[string, Record<string, Uint8Array>, RegExp]>([
  ['without sigma', { 'mu.npy': mu }, /lacks the array "sigma"/],
  [
    'of another size',
    { ...good, 'mu.npy': array([3], 1, 2, 3) },
    /"mu" in it has the shape \(3\), not \(2\)/,
  ],
  ['of integers', { ...good, 'mu.npy': edited(mu, "'<f8'", "'<i8'") }, /of the type "<i8", not of floats/],
  ['of objects', { ...good, 'mu.npy': edited(mu, "'<f8'", "'|O'") }, /of the type "\|O", not of floats/],
  ['that is no array', { ...good, 'mu.npy': Buffer.from('hello hello hello') }, /is no array of NumPy/],
  ['of a later format', { ...good, 'mu.npy': edited(mu, 'NUMPY\x01', 'NUMPY\x09') }, /of the format 9/],
  ['without its order', { ...good, 'mu.npy': edited(mu, 'fortran_order', 'fort') }, /damaged header/],
  ['that ends early', { ...good, 'mu.npy': mu.subarray(0, -8) }, /8 bytes of values, not 16/],
  ['not finite', { ...good, 'mu.npy': array([2], 1, Number.NaN) }, /no finite numbers/],
  ['not symmetric', { ...good, 'sigma.npy': array([2, 2], 2, 1, -1, 2) }, /no covariance matrix/],
  ['of negative variance', { ...good, 'sigma.npy': array([2, 2], -2, 0, 0, 2) }, /no covariance matrix/],
  ['that is large', { ...good, 'mu.npy': Buffer.alloc(1e5) }, /mu.npy that is damaged, or not of FID's size/],
])('a file is refused by its name: %s', async (_, files, message) => {
  const error = await rejection(read(zip(Object.entries(files))));
  expect(error.code).toBe('ERR_DEEPCACHE_INVALID_WEIGHTS');
  expect(error.message).toMatch(message);
  expect(error.message).toContain('a.npz');
});

test('what is no archive is refused, and a missing one', async () => {
  expect((await rejection(read(Buffer.from('hello')))).message).toMatch(/a.npz.*no archive of NumPy/);
  const missing = join(folder, 'missing.npz');
  expect((await rejection(readStatistics(missing, 2))).message).toMatch(/missing.npz: cannot be read/);
});

/** An archive whose first entry is deflated: what it says to hold, and what it holds. */
function deflated(said: number, held: Buffer): Buffer {
  const packed = deflateRawSync(held);
  const bytes = zip([
    ['mu.npy', packed],
    ['sigma.npy', sigma],
  ]);
  for (const [magic, method, unpacked] of [
    ['PK\x03\x04', 8, 22],
    ['PK\x01\x02', 10, 24],
  ] as const) {
    const at = bytes.indexOf(magic, 0, 'latin1');
    bytes.writeUInt16LE(8, at + method);
    bytes.writeUInt32LE(said, at + unpacked);
  }
  return bytes;
}

test('an entry that unpacks to more than it says is refused', async () => {
  expect([...(await read(deflated(mu.length, mu))).mu]).toEqual([1, 2]);
  const bomb = Buffer.concat([mu, Buffer.alloc(2 ** 24)]);
  for (const said of [mu.length, mu.length + 1, bomb.length])
    expect((await rejection(read(deflated(said, bomb)))).message).toMatch(/mu.npy that is damaged/);
});

test('damaged files are errors, or what was not damaged', async () => {
  const random = fuzzRandom(6);
  const files = [zip(Object.entries(good)), deflated(mu.length, mu)];
  let refused = 0;
  for (let i = 0; i < rounds(400); i++) {
    const found = await settles(() => read(mutated(random.of(files), random)));
    if (!found) refused++;
    else expect([found.mu.length, found.sigma.length]).toEqual([2, 4]);
  }
  expect(refused).toBeGreaterThan(50);
  const [whole] = files as [Buffer];
  for (let length = 0; length < whole.length; length += 7)
    await expect(read(whole.subarray(0, length))).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_WEIGHTS',
    });
});
