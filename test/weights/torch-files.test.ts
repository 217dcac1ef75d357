import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openWeights, readPickle } from '../../lib/weights/open.js';
import { InertClass, InertObject, PickledTensor } from '../../lib/weights/pickle/values.js';
import type { StoredTensor } from '../../lib/weights/stored-tensor.js';
import { Call, Global, type Pickled, Tensor, torchLegacy, torchZip, zip } from './torch-writer.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-torch-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function save(bytes: Uint8Array): string {
  const path = join(folder, `${files++}.ckpt`);
  writeFileSync(path, bytes);
  return path;
}

const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

/** The bytes where a tensor says that its values are. */
function valuesOf({ file, offset, bytes }: StoredTensor): number[] {
  return [...new Float32Array(new Uint8Array(readFileSync(file).subarray(offset, offset + bytes)).buffer)];
}

async function open(bytes: Uint8Array): Promise<StoredTensor[]> {
  return [...(await openWeights(save(bytes))).tensors];
}

async function refused(bytes: Uint8Array, message: RegExp): Promise<void> {
  const path = save(bytes);
  const error = await openWeights(path).catch((e: unknown) => e);
  expect(error).toMatchObject({
    code: 'ERR_DEEPCACHE_INVALID_WEIGHTS',
    message: expect.stringMatching(message),
  });
  expect((error as Error).message.startsWith(`${path}: `)).toBe(true);
}

const two = { 0: floats(1, 2, 3, 4, 5, 6), 1: floats(7, 8) };

describe('files of torch.save', () => {
  test('give their tensors where they lie', async () => {
    const path = save(
      torchZip(
        { 'a.weight': new Tensor({ key: '0', shape: [2, 3] }), b: new Tensor({ key: '1', shape: [2] }) },
        two,
      ),
    );
    const { format, tensors, metadata } = await openWeights(path);
    expect({ format, metadata }).toEqual({ format: 'torch zip', metadata: {} });
    expect(tensors).toEqual([
      { name: 'a.weight', dtype: 'F32', shape: [2, 3], file: path, offset: expect.any(Number), bytes: 24 },
      { name: 'b', dtype: 'F32', shape: [2], file: path, offset: expect.any(Number), bytes: 8 },
    ]);
    expect(tensors.map(valuesOf)).toEqual([
      [1, 2, 3, 4, 5, 6],
      [7, 8],
    ]);
  });

  test('of the format before 1.6', async () => {
    const value = {
      a: new Tensor({ key: 'first', shape: [2, 3] }),
      part: new Tensor({ key: 'first', shape: [2], offset: 1, values: 3, view: ['view', 2, 3] }),
      b: new Tensor({ key: 'second', shape: [2] }),
    };
    const bytes = torchLegacy(value, {
      first: { values: 6, data: two[0] },
      second: { values: 2, data: two[1] },
    });
    const path = save(bytes);
    const { format, tensors } = await openWeights(path);
    expect(format).toBe('torch legacy');
    expect(tensors.map(valuesOf)).toEqual([
      [1, 2, 3, 4, 5, 6],
      [4, 5],
      [7, 8],
    ]);
  });

  test('may share storages, and begin within them', async () => {
    const tensors = await open(
      torchZip(
        {
          all: new Tensor({ key: '0', shape: [6], values: 6 }),
          middle: new Tensor({ key: '0', shape: [2, 1], offset: 3, values: 6 }),
          none: new Tensor({ key: '0', shape: [0, 4], offset: 6, values: 6 }),
        },
        two,
      ),
    );
    expect(tensors.map(valuesOf)).toEqual([[1, 2, 3, 4, 5, 6], [4, 5], []]);
  });

  test.each<[string, number[], number[], object]>([
    ['a transposed matrix', [2, 3], [1, 2], { transposed: true }],
    ['one row', [1, 6], [1, 1], {}],
    ['one column', [6, 1], [1, 7], {}],
    ['a 1x1 convolution in the order of channels_last', [2, 3, 1, 1], [3, 1, 3, 3], {}],
  ])('with %s', async (_, shape, strides, extra) => {
    const [tensor] = await open(torchZip({ w: new Tensor({ key: '0', shape, strides, values: 6 }) }, two));
    expect(tensor).toEqual({
      name: 'w',
      dtype: 'F32',
      shape,
      file: expect.any(String),
      offset: expect.any(Number),
      bytes: 24,
      ...extra,
    });
  });

  test.each([
    ['HalfStorage', 'F16', 2],
    ['BFloat16Storage', 'BF16', 2],
    ['DoubleStorage', 'F64', 8],
    ['LongStorage', 'I64', 8],
    ['IntStorage', 'I32', 4],
    ['ShortStorage', 'I16', 2],
    ['CharStorage', 'I8', 1],
    ['ByteStorage', 'U8', 1],
    ['BoolStorage', 'BOOL', 1],
  ])('of %s', async (storage, dtype, bytesEach) => {
    const value = { w: new Tensor({ storage, key: '0', shape: [3] }) };
    const [tensor] = await open(torchZip(value, { 0: new Uint8Array(3 * bytesEach) }));
    expect(tensor).toMatchObject({ dtype, bytes: 3 * bytesEach });
  });

  test('of fp8, which has no storage of its own', async () => {
    const tensor = new Tensor({
      storage: 'UntypedStorage',
      key: '0',
      shape: [4],
      dtype: new Global('torch', 'float8_e4m3fn'),
    });
    const [stored] = await open(torchZip({ w: tensor }, { 0: new Uint8Array(4) }));
    expect(stored).toMatchObject({ dtype: 'F8_E4M3', shape: [4], bytes: 4 });
  });
});

describe('names', () => {
  const tensor = () => new Tensor({ key: '1', shape: [2] });
  const namesOf = async (value: Pickled) => (await open(torchZip(value, two))).map(({ name }) => name);

  test('are those of a state_dict, whatever is beside it', async () => {
    expect(await namesOf({ epoch: 3, state_dict: { 'a.b': tensor() }, optimizer: { c: tensor() } })).toEqual([
      'a.b',
    ]);
  });

  test('of dictionaries in dictionaries have dots', async () => {
    expect(
      await namesOf({
        image_proj: { latents: tensor() },
        list: [tensor(), { x: tensor() }],
        optimizer_states: [tensor()],
        string_to_param: { '*': tensor() },
      }),
    ).toEqual(['image_proj.latents', 'list.0', 'list.1.x', 'string_to_param.*']);
  });

  test('of modules are those of their parameters', async () => {
    const parameter = new Call(new Global('torch._utils', '_rebuild_parameter'), [tensor(), true, {}]);
    const state = { training: true, _parameters: { w: parameter }, _buffers: {}, _modules: {} };
    const dict = new Call(new Global('torch.nn.modules.container', 'ParameterDict'), [], state);
    expect(await namesOf({ string_to_param: dict })).toEqual(['string_to_param.w']);
  });

  test('that occur twice are refused', async () => {
    await refused(torchZip({ a: { b: tensor() }, 'a.b': tensor() }, two), /: has two tensors "a\.b"$/);
  });
});

describe('harmless names', () => {
  test('become objects that nothing is done with', async () => {
    const checkpoint = new Global('pytorch_lightning.callbacks.model_checkpoint', 'ModelCheckpoint');
    const path = save(
      torchZip(
        new Map<Pickled, Pickled>([
          ['state_dict', { w: new Tensor({ key: '1', shape: [2] }) }],
          ['callbacks', new Map<Pickled, Pickled>([[checkpoint, { best: 1.5, big: 2 ** 40 }]])],
          [
            'step',
            new Call(new Global('numpy.core.multiarray', 'scalar'), [new Global('numpy', 'dtype'), 'x']),
          ],
          ['config', new Call(new Global('omegaconf.dictconfig', 'DictConfig'), [], { a: [true, null, -7] })],
        ]),
        two,
      ),
    );
    const root = (await readPickle(path)) as Map<string, unknown>;
    const config = root.get('config') as InertObject;
    expect(config).toBeInstanceOf(InertObject);
    expect(config.className).toBe('omegaconf.dictconfig.DictConfig');
    expect(config.state).toEqual(new Map([['a', [true, null, -7]]]));
    const callbacks = root.get('callbacks') as Map<unknown, unknown>;
    expect([...callbacks.keys()][0]).toBeInstanceOf(InertClass);
    expect([...callbacks.values()][0]).toEqual(
      new Map([
        ['best', 1.5],
        ['big', 2 ** 40],
      ]),
    );
    const tensor = (root.get('state_dict') as Map<string, unknown>).get('w') as PickledTensor;
    expect(tensor).toBeInstanceOf(PickledTensor);
    expect(valuesOf(tensor)).toEqual([7, 8]);
    expect((await openWeights(path)).tensors.map(({ name }) => name)).toEqual(['w']);
  });

  test.each([
    ['posix', 'system'],
    ['os', 'system'],
    ['nt', 'system'],
    ['subprocess', 'Popen'],
    ['__builtin__', 'eval'],
    ['builtins', 'exec'],
    ['builtins', 'getattr'],
    ['importlib', 'import_module'],
    ['torch', 'load'],
    ['torch.hub', 'load'],
    ['torch.storage', '_load_from_bytes'],
    ['torch._utils', 'eval'],
    ['numpy.testing._private.utils', 'runstring'],
    ['torch.nn.modules.module.sys.modules', 'os'],
    ['pytorch_lightning', 'os'],
    ['collections', 'namedtuple'],
    ['numpy', '__proto__'],
    ['torch', 'constructor'],
    ['', ''],
  ])('%s.%s is refused by its name', async (module, name) => {
    const tensor = new Tensor({ key: '1', shape: [2] });
    const call = new Call(new Global(module, name), ['touch executed']);
    const message = new RegExp(`would run "${`${module}.${name}`.replaceAll('.', '\\.')}".*was not run`);
    await refused(torchZip({ w: tensor, x: call }, two), message);
    await refused(torchZip({ x: new Global(module, name) }, two), message);
    await refused(torchLegacy({ x: call }, {}), message);
  });
});

describe('other files', () => {
  test.each<[string, Buffer, RegExp]>([
    ['nothing', Buffer.from(''), /only 0 bytes long/],
    [
      'a pickle of something else',
      Buffer.from('80027d2e', 'hex'),
      /a pickle, but none that torch\.save wrote/,
    ],
    ['GGUF', Buffer.from('GGUF\x03\0\0\0'), /is a GGUF file/],
    ['a web page', Buffer.from('<!DOCTYPE html><html>'), /is a web page/],
    ['gzip', Buffer.from('1f8b0800', 'hex'), /is a compressed archive/],
    ['an empty archive', zip([]), /is an archive without files/],
    ['text', Buffer.from('version https://git-lfs.github.com/spec/v1\n'), /Git LFS pointer/],
  ])('%s', async (_, bytes, message) => {
    await refused(bytes, message);
  });

  test('a folder, and what is not there', async () => {
    for (const path of [folder, join(folder, 'none')]) {
      await expect(openWeights(path)).rejects.toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_WEIGHTS' });
    }
    await expect(readPickle('models/demo/unet/diffusion_pytorch_model.safetensors')).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_WEIGHTS',
    });
  });

  test('the signal is heard', async () => {
    const path = save(torchZip({ w: new Tensor({ key: '1', shape: [2] }) }, two));
    const reason = new Error('no more');
    await expect(openWeights(path, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test('the log says that a file is a pickle', async () => {
    const path = save(torchZip({ w: new Tensor({ key: '1', shape: [2] }) }, two));
    const lines: string[] = [];
    await openWeights(path, { log: (line) => lines.push(line) });
    expect(lines).toEqual([`${path} is a pickle of torch: its tensors are read, and nothing in it is run`]);
  });
});
