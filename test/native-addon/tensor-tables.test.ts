import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { native } from '../../lib/native/binding.js';
import type { TensorSource } from '../../lib/native/types.js';
import { type Any, errorOf, rejects } from './rejects.js';
import { backend, noise, source } from './tiny-model.js';

const { loadVae, SafetensorsFile } = native();
const { config, files } = source('vae');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-tables-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The tensors of a safetensors file, by the places that its header gives. */
function tableOf(path: string): TensorSource[] {
  return new SafetensorsFile(path).tensors.map(({ name, dtype, shape, offset }) => ({
    name,
    file: path,
    dtype,
    shape,
    offset,
  }));
}

/** The same tensors in a file without any header, every matrix as its transpose. */
function transposedCopy(path: string, target: string): TensorSource[] {
  const file = new SafetensorsFile(path);
  const parts = [Buffer.from('!')];
  let end = 1;
  const tensors = file.tensors.map(({ name, dtype, shape, bytes }) => {
    const stored = new Uint8Array(file.read(name));
    const [rows, columns] = shape.length === 2 ? (shape as [number, number]) : [1, 1];
    const size = bytes / (rows * columns);
    const copy = Buffer.alloc(bytes);
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        const from = (r * columns + c) * size;
        copy.set(stored.subarray(from, from + size), (c * rows + r) * size);
      }
    }
    const tensor = { name, file: target, dtype, shape, offset: end, transposed: shape.length === 2 };
    parts.push(copy);
    end += bytes;
    return tensor;
  });
  writeFileSync(target, Buffer.concat(parts));
  return tensors;
}

async function decoded(model: { files?: readonly string[]; tensors?: readonly TensorSource[] }) {
  const vae = await loadVae(backend, { config, ...model }).promise;
  const data = noise(vae.latentChannels * 16);
  const result = await vae.decode({ data, batch: 1, height: 4, width: 4 }).promise;
  vae.dispose();
  return result.data;
}

describe('a table of tensors', () => {
  test('makes the model that the file makes', async () => {
    const expected = await decoded({ files });
    const table = files.flatMap(tableOf);
    expect(await decoded({ tensors: table })).toEqual(expected);
    const wrapped = table.map((tensor) => ({ ...tensor, name: `module.${tensor.name}` }));
    expect(await decoded({ tensors: wrapped })).toEqual(expected);
    const copy = transposedCopy(files[0] as string, join(folder, 'transposed'));
    expect(copy.filter(({ transposed }) => transposed).length).toBeGreaterThan(4);
    expect(await decoded({ tensors: copy })).toEqual(expected);
  });

  test('of a file that was cut since is an error', async () => {
    const path = join(folder, 'cut');
    const table = transposedCopy(files[0] as string, path);
    truncateSync(path, 1000);
    const error = await errorOf(() => loadVae(backend, { config, tensors: table }));
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_WEIGHTS' });
    expect(error.message).toMatch(/cut: tensor ".*but the file has only 1000/);
  });
});

const tensor = { name: 'w', file: files[0], dtype: 'F32', shape: [1], offset: 0 };
const load = (model: Any) => () => loadVae(backend, { config, ...model });
const loadTensor = (fields: Any) => load({ tensors: [{ ...tensor, ...fields }] });

describe('refuses', () => {
  rejects([
    ['neither files nor tensors', load({}), /^files must be an array, got undefined/],
    ['both', load({ files, tensors: [tensor] }), /^files must be left out where there are tensors/],
    ['no tensors', load({ tensors: [] }), /^tensors must be a list of tensors, got an empty one/],
    ['a tensor that is none', load({ tensors: [5] }), /^tensors\[0\] must be an object/],
    [
      'too many tensors',
      load({ tensors: Array(100_001).fill(tensor) }),
      /^tensors must be an array of at most 100000 elements/,
    ],
    ['no name', loadTensor({ name: 5 }), /^tensors\[0\]\.name must be a string/],
    ['no file', loadTensor({ file: '' }), /^tensors\[0\]\.file must be/],
    ['a file with a NUL', loadTensor({ file: 'a\0b' }), /^tensors\[0\]\.file must be/],
    ['no dtype', loadTensor({ dtype: undefined }), /^tensors\[0\]\.dtype must be a string/],
    ['a negative extent', loadTensor({ shape: [2, -1] }), /^tensors\[0\]\.shape\[1\] must be an integer/],
    [
      'too many axes',
      loadTensor({ shape: Array(17).fill(1) }),
      /^tensors\[0\]\.shape must be an array of at/,
    ],
    ['a negative offset', loadTensor({ offset: -1 }), /^tensors\[0\]\.offset must be an integer from 0/],
    ['an offset that is no integer', loadTensor({ offset: 0.5 }), /^tensors\[0\]\.offset must be an integer/],
    [
      'transposed as text',
      loadTensor({ transposed: 'no' }),
      /^tensors\[0\]\.transposed must be true or false/,
    ],
  ]);
  rejects(
    [
      ['an offset behind the end', loadTensor({ offset: 2 ** 53 }), /from byte 9007199254740992 on/],
      ['a huge shape', loadTensor({ shape: [2 ** 53, 2 ** 53] }), /impossible shape/],
      ['an unknown dtype', loadTensor({ dtype: 'Q4' }), /unknown dtype "Q4"/],
      ['another number of axes', loadTensor({ transposed: true }), /shape \[1\] cannot be transposed/],
      ['a file that is not there', loadTensor({ file: '/no/such/file' }), /\/no\/such\/file: cannot be read/],
    ],
    'ERR_DEEPCACHE_INVALID_WEIGHTS',
  );
});
