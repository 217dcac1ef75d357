import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { native } from '../../lib/native/binding.js';
import type { TensorShape } from '../../lib/native/types.js';
import { backend, codeOf, denoiseRequest, source } from './tiny-model.js';

const { Generator, SafetensorsFile, synthesize, weightShapes, writeSynthetic } = native();
const INVALID = 'ERR_DEEPCACHE_INVALID_ARGUMENT';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-files-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A safetensors file with one F32 tensor "a b" of [2] and metadata. */
function write(name: string, metadata: object): string {
  const header = JSON.stringify({
    __metadata__: metadata,
    'a b': { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
  });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const path = join(folder, name);
  writeFileSync(
    path,
    Buffer.concat([length, Buffer.from(header), Buffer.from(Float32Array.of(1.5, -2).buffer)]),
  );
  return path;
}

describe('SafetensorsFile', () => {
  test('lists and reads tensors', () => {
    const path = write('good.safetensors', { format: 'pt' });
    const file = new SafetensorsFile(path);
    expect(file.path).toBe(path);
    expect(file.metadata).toEqual({ format: 'pt' });
    expect(file.tensors).toEqual([
      { name: 'a b', dtype: 'F32', shape: [2], offset: expect.any(Number), bytes: 8 },
    ]);
    expect([...new Float32Array(file.read('a b'))]).toEqual([1.5, -2]);
  });

  test('metadata keys are never more than keys', () => {
    const file = new SafetensorsFile(
      write('keys.safetensors', JSON.parse('{"__proto__":"x","constructor":"y","0":"z"}')),
    );
    expect(Object.entries(file.metadata).sort()).toEqual([
      ['0', 'z'],
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  });

  test.each([
    ['a missing file', () => new SafetensorsFile('/no/such/file'), 'ERR_DEEPCACHE_INVALID_WEIGHTS'],
    ['a folder', () => new SafetensorsFile('.'), 'ERR_DEEPCACHE_INVALID_WEIGHTS'],
    ['a file of something else', () => new SafetensorsFile('package.json'), 'ERR_DEEPCACHE_INVALID_WEIGHTS'],
    ['no path', () => new SafetensorsFile(undefined as never), INVALID],
    ['an empty path', () => new SafetensorsFile(''), INVALID],
    ['an unknown tensor', () => new SafetensorsFile(source('vae').files[0] as string).read('x'), INVALID],
  ])('%s', async (_, call, code) => {
    expect(await codeOf(call)).toBe(code);
  });
});

describe('synthetic weights', () => {
  let tensors: TensorShape[];
  beforeAll(async () => {
    tensors = weightShapes('unet', source('unet').config);
  });

  test('make a model that runs', async () => {
    const path = join(folder, 'unet.safetensors');
    const progress: number[] = [];
    let total = 0;
    await writeSynthetic({ path, tensors, dtype: 'float16' }, (done, all) => {
      progress.push(done);
      total = all;
    }).promise;
    expect(total).toBe(tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0));
    expect(progress.at(-1)).toBe(total);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    const unet = await native().loadUnet(backend, { config: source('unet').config, files: [path] }).promise;
    const { latents } = await unet.denoise(denoiseRequest(2)).promise;
    expect(latents.every(Number.isFinite)).toBe(true);
    unet.dispose();
  });

  test('are the same values in memory and in a file', async () => {
    const path = join(folder, 'one.safetensors');
    const tensor = { name: 'conv_in.weight', shape: [4, 3, 3, 3] };
    await writeSynthetic({ path, tensors: [tensor], dtype: 'float32' }).promise;
    const written = new Float32Array(new SafetensorsFile(path).read('conv_in.weight'));
    expect(written).toEqual(new Float32Array(synthesize(tensor.name, tensor.shape)));
    expect(new Set(written).size).toBeGreaterThan(100);
  });

  test('that are cancelled leave no file', async () => {
    const path = join(folder, 'cancelled.safetensors');
    const job = writeSynthetic(
      { path, tensors: [{ name: 'w', shape: [1 << 15, 1 << 14] }], dtype: 'float16' },
      () => job.cancel(),
    );
    expect(await codeOf(job.promise)).toBe('ERR_DEEPCACHE_ABORTED');
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.includes('cancelled'))).toEqual([]);
  });

  test.each([
    ['a shape that overflows', () => synthesize('w', [2 ** 20, 2 ** 20, 2 ** 20]), INVALID],
    ['a negative extent', () => synthesize('w', [-1]), INVALID],
    ['a shape that is none', () => synthesize('w', 5 as never), INVALID],
    ['no name', () => synthesize(undefined as never, [1]), INVALID],
    ['another dtype', () => writeSynthetic({ path: 'x', tensors: [], dtype: 'int8' as never }), INVALID],
    [
      'progress that is no function',
      () => writeSynthetic({ path: 'x', tensors: [], dtype: 'float16' }, 1 as never),
      INVALID,
    ],
    [
      'a folder that is not there',
      () =>
        writeSynthetic({ path: '/no/such/folder/x', tensors: [{ name: 'w', shape: [1] }], dtype: 'float16' })
          .promise,
      INVALID,
    ],
  ])('%s', async (_, call, code) => {
    expect(await codeOf(call)).toBe(code);
  });
});

describe('Generator', () => {
  // python3 -c "import torch; torch.manual_seed(42); print(torch.randn(4))"
  const TORCH_42 = [0.3367, 0.1288, 0.2345, 0.2303];

  test('gives what torch.randn gives', () => {
    const generator = new Generator(42n);
    const first = generator.randn(4) as Float32Array;
    expect([...first].map((value) => Number(value.toFixed(4)))).toEqual(TORCH_42);
    generator.seed(42n);
    expect(generator.randn(4)).toEqual(first);
    expect(generator.randn(4)).not.toEqual(first);
  });

  test('of other types, and uniform numbers', () => {
    const doubles = new Generator(1n).randn(1000, 'float64');
    expect(doubles.BYTES_PER_ELEMENT).toBe(8);
    const halves = new Generator(1n).randn(1000, 'float16');
    expect(halves.BYTES_PER_ELEMENT).toBe(4);
    const uniform = new Generator(1n).rand(1000);
    expect(Math.min(...uniform)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...uniform)).toBeLessThan(1);
    // The Mersenne Twister's first word for this seed, as numpy and C++ give it too.
    expect(new Generator(5489n).nextUint32()).toBe(3499211612);
    expect(new Generator(1n).randn(0)).toHaveLength(0);
  });

  test('takes any 64 bits as seed', () => {
    const first = (seed: bigint) => new Generator(seed).nextUint32();
    expect(first(-1n)).toBe(first(2n ** 64n - 1n));
  });

  test.each([
    ['a number as seed', () => new Generator(1 as never)],
    ['a seed of 65 bits', () => new Generator(2n ** 64n)],
    ['a negative count', () => new Generator(1n).randn(-1)],
    ['a fraction as count', () => new Generator(1n).rand(1.5)],
    ['another dtype', () => new Generator(1n).randn(1, 'int8' as never)],
    ['seed() without one', () => new Generator(1n).seed(undefined as never)],
  ])('%s', async (_, call) => {
    expect(await codeOf(call)).toBe(INVALID);
  });
});
