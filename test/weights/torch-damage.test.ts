import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { RandomAccessFile } from '../../lib/files/random-access.js';
import { openWeights, readPickle } from '../../lib/weights/open.js';
import { OPCODES } from '../../lib/weights/pickle/opcodes.js';
import { runPickle } from '../../lib/weights/pickle/run.js';
import { checkTree } from '../../lib/weights/pickle/tree.js';
import { inWords } from '../../lib/weights/torch-file.js';
import { fuzzRandom, mutated, rounds, settles } from '../fuzz.js';
import {
  Call,
  Global,
  type Pickled,
  pickle,
  Tensor,
  type TensorFields,
  torchLegacy,
  torchZip,
  type ZipFields,
  zip,
} from './torch-writer.js';

let path: string;
beforeAll(() => {
  path = join(mkdtempSync(join(tmpdir(), 'deepcache-damage-')), 'file.ckpt');
});
afterAll(() => rmSync(join(path, '..'), { recursive: true }));

const values = new Uint8Array(24);
const good = (): Pickled => ({ w: new Tensor({ key: '0', shape: [2, 3] }) });

async function open(bytes: Uint8Array) {
  writeFileSync(path, bytes);
  return openWeights(path);
}

async function refused(bytes: Uint8Array, message: RegExp): Promise<void> {
  const error = await open(bytes).catch((e: unknown) => e);
  expect(error).toMatchObject({
    code: 'ERR_DEEPCACHE_INVALID_WEIGHTS',
    message: expect.stringMatching(message),
  });
}

/** An archive with these bytes as its pickle. */
const archive = (data: Uint8Array) =>
  zip([
    ['a/data.pkl', data],
    ['a/data/0', values],
  ]);

describe('tensors', () => {
  const tensor = (fields: Partial<TensorFields>): Pickled => ({
    w: new Tensor({ key: '0', shape: [2, 3], ...fields }),
  });
  test.each<[string, Pickled, RegExp]>([
    ['more values than the storage says', tensor({ values: 5 }), /larger than its storage/],
    ['more values than there are', tensor({ shape: [7] }), /too few values of the storage "0"/],
    ['an offset behind the end', tensor({ offset: 1, values: 6 }), /larger than its storage/],
    ['a negative offset', tensor({ offset: -1 }), /a size that cannot be/],
    ['a negative extent', tensor({ shape: [-2, -3], values: 6 }), /a size that cannot be/],
    ['a huge extent', tensor({ shape: [2 ** 50, 2 ** 50], values: 6 }), /a size that cannot be/],
    ['a fraction of an extent', tensor({ shape: [1.5, 4], strides: [4, 1], values: 6 }), /cannot be/],
    ['fewer strides than extents', tensor({ strides: [1] }), /damaged shape/],
    ['too many axes', tensor({ shape: Array(17).fill(1) }), /damaged shape/],
    [
      'one value many times',
      tensor({ strides: [0, 1] }),
      /^[^:]+: tensor "w" has its values in another order/,
    ],
    ['every other value', tensor({ shape: [3], strides: [2], values: 6 }), /strides \[2\]\); save it as/],
    ['channels_last', tensor({ shape: [1, 3, 2, 1], strides: [6, 1, 3, 3] }), /another order/],
    ['no such storage', tensor({ key: '1' }), /lacks the values of the storage "1"/],
    ['a storage beside the archive', tensor({ key: '../0' }), /no storage of values/],
    ['a class that is no storage', tensor({ storage: 'float32' }), /no storage of values/],
    ['a storage of a negative size', tensor({ values: -6 }), /a storage with a size that cannot be/],
    ['bytes without a type', tensor({ storage: 'UntypedStorage' }), /tensor without a type/],
    [
      'a parameter of nothing',
      { w: new Call(new Global('torch._utils', '_rebuild_parameter'), []) },
      /no tensor/,
    ],
    [
      'a tensor of nothing',
      { w: new Call(new Global('torch._utils', '_rebuild_tensor_v2'), []) },
      /without a stor/,
    ],
  ])('of %s', async (_, value, message) => {
    await refused(torchZip(value, { 0: values }), message);
  });

  test('that are not read do no harm where they are not needed', async () => {
    const strange = new Tensor({ key: '0', shape: [3], strides: [2], values: 6 });
    const bytes = torchZip({ state_dict: good(), optimizer: { strange } }, { 0: values });
    expect((await open(bytes)).tensors).toHaveLength(1);
    await expect(readPickle(path)).rejects.toMatchObject({
      message: expect.stringMatching(/: tensor "optimizer\.strange" has its values in another order/),
    });
  });
});

describe('archives', () => {
  const parts = (change: Partial<ZipFields>) =>
    zip([
      ['a/data.pkl', pickle(good())],
      ['a/data/0', values, change],
    ]);

  test('with a comment, of more than 4 GB, and of any name are read', async () => {
    const list = [
      ['x y/data.pkl', pickle(good())],
      ['x y/data/0', values],
      ['x y/byteorder', Buffer.from('little')],
    ] as const;
    for (const options of [
      {},
      { comment: 'PK\x05\x06 and more' },
      { wide: true },
      { wide: true, comment: 'x' },
    ]) {
      expect((await open(zip(list, options))).tensors).toHaveLength(1);
    }
  });

  test.each<[string, Buffer, RegExp]>([
    ['a compressed entry', parts({ method: 8 }), /has a compressed entry "a\/data\/0"/],
    ['an encrypted one', parts({ flags: 1 }), /has an encrypted entry/],
    ['one that is elsewhere', parts({ header: 3 }), /that overlaps another|no entry .* where it says/],
    ['one at the place of another', parts({ header: 0 }), /no entry "a\/data\/0" where it says/],
    ['one behind the end', parts({ header: 2 ** 31 }), /truncated or damaged/],
    ['one that has another name', parts({ ownName: 'a/data/1' }), /no entry "a\/data\/0" where it says/],
    ['one that is longer than the file', parts({ bytes: 10_000 }), /"a\/data\/0" beyond its end/],
    [
      'one that covers the next',
      zip([
        ['a/data.pkl', pickle(good()), { bytes: pickle(good()).length + 1 }],
        ['a/data/0', values],
      ]),
      /"a\/data\/0" that overlaps another/,
    ],
    [
      'two of a name',
      zip([
        ['a/data.pkl', pickle(good())],
        ['a/data.pkl', pickle(good())],
      ]),
      /two entries "a\/data\.pkl"/,
    ],
    [
      'two pickles',
      zip([
        ['a/data.pkl', pickle(good())],
        ['b/data.pkl', pickle(good())],
      ]),
      /without the data\.pkl .* or with several/,
    ],
    ['no pickle', zip([['a/data/0', values]]), /without the data\.pkl/],
    [
      'big-endian values',
      zip([
        ['a/data.pkl', pickle(good())],
        ['a/data/0', values],
        ['a/byteorder', Buffer.from('big')],
      ]),
      /byte order "big"/,
    ],
  ])('with %s', async (_, bytes, message) => {
    await refused(bytes, message);
  });

  test('that are cut anywhere are errors', async () => {
    const bytes = torchZip(good(), { 0: values });
    for (let length = 4; length < bytes.length; length += 9) await refused(bytes.subarray(0, length), /./);
    const legacy = torchLegacy(good(), { 0: { values: 6, data: values } });
    for (let length = 15; length < legacy.length; length += 9) await refused(legacy.subarray(0, length), /./);
  });
});

describe('files before 1.6', () => {
  const storages = { 0: { values: 6, data: values } };
  test.each<[string, Buffer, RegExp]>([
    ['another version', torchLegacy(good(), storages, { version: 1002 }), /old format 1002/],
    ['big-endian values', torchLegacy(good(), storages, { littleEndian: false }), /big-endian/],
    ['no values', torchLegacy(good(), {}), /lacks the values of the storage "0"/],
    [
      'a storage of no tensor',
      torchLegacy(good(), { ...storages, 1: storages[0] }),
      /storage "1" of no tensor/,
    ],
    ['too few values', torchLegacy(good(), { 0: { values: 5, data: values.subarray(4) } }), /too few values/],
    [
      'more than are there',
      torchLegacy(good(), { 0: { values: 2 ** 40, data: values } }),
      /within its values/,
    ],
  ])('with %s', async (_, bytes, message) => {
    await refused(bytes, message);
  });
});

describe('pickles', () => {
  const binary = (text: string) => Buffer.from(text, 'latin1');
  test.each<[string, Buffer, RegExp]>([
    ['nothing', binary(''), /ends within a value/],
    ['no value', binary('.'), /a value that is not there/],
    ['a text opcode', binary('\x80\x02I1\n.'), /opcode 0x49/],
    ['an extension', binary('\x80\x02\x82\x01.'), /opcode 0x82/],
    ['an instance of Python 1', binary('(iposix\nsystem\n.'), /opcode 0x69/],
    ['an unknown protocol', binary('\x80\x06N.'), /protocol 6/],
    ['a memo that is empty', binary('h\0.'), /names a value that is not there/],
    ['a mark that is none', binary('t.'), /a value that is not there/],
    ['a mark as a value', binary('(\x85.'), /a value that is not there/],
    ['a text behind the end', binary('X\xff\xff\0\0ab.'), /ends within a value/],
    ['a very long text', binary('X\xff\xff\xff\x7fab.'), /a text of 2147483647 bytes/],
    ['bytes behind the end', binary('\x8e\xff\xff\xff\xff\0\0\0\0ab.'), /ends within a value/],
    ['an impossible length', binary('\x8e\xff\xff\xff\xff\xff\xff\xff\xffab.'), /an impossible length/],
    ['a text that is none', binary('X\x01\0\0\0\xff.'), /not UTF-8/],
    ['a number of many bytes', binary(`\x8a\xff${'x'.repeat(255)}.`), /a number of 255 bytes/],
    ['an item of no dictionary', binary('NK\x01K\x02s.'), /damaged dictionary/],
    ['half of an item', binary('}(K\x01u.'), /damaged dictionary/],
    ['an element of no list', binary('NK\x01a.'), /appends to what is no list/],
    ['a call of a number', binary('K\x01)R.'), /calls what is no class/],
    ['a call without arguments', binary('ctorch\nSize\nNR.'), /calls what is no class/],
    ['a name without an end', binary(`c${'x'.repeat(1000)}`), /a name without an end/],
    ['a name that is no text', binary('K\x01K\x02\x93.'), /a name that is no text/],
    ['a storage of no kind', binary('K\x01Q.'), /no storage of values/],
    ['a list that holds itself', binary(']q\0h\0a.'), /holds itself/],
    ['lists in lists', binary(`${']'.repeat(100)}${'a'.repeat(99)}.`), /in very many others/],
    // [x, x] of [x, x] of ...: 2^30 values to look at.
    ['a value in very many places', binary(`]q\0${'(h\0h\0lq\0'.repeat(30)}.`), /too many values/],
    ['a million objects', binary(`(${'}'.repeat(1_000_001)}t.`), /too many objects/],
  ])('with %s', async (_, data, message) => {
    await refused(archive(data), message);
  });

  test('of every protocol are the same', async () => {
    // Written by Python's pickle.dumps({'a': [1, -2, 2**40, 1.5, True, None, b'x', (1, 2, 3)]}, protocol).
    const pickles = {
      2: '80027d71005801000000617101 5d7102 284b014afeffffff8a06000000000001473ff800000000000088 4e635f636f646563730a656e636f64650a710358010000007871045806000000 6c6174696e31710586710652 71074b014b024b03877108 6573 2e',
      4: '8004953000000000000000 7d94 8c0161945d9428 4b014afeffffff8a06000000000001473ff8000000000000884e 43017894 4b014b024b038794 6573 2e',
    };
    for (const [protocol, hex] of Object.entries(pickles)) {
      const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
      const { value, end } = await runPickle(bytes, 0, undefined);
      expect(end).toBe(bytes.length);
      const list = (value as Map<string, unknown[]>).get('a') as unknown[];
      expect(list.slice(0, 6)).toEqual([1, -2, 2 ** 40, 1.5, true, null]);
      if (protocol === '4') expect(list[6]).toEqual(Uint8Array.of(120));
      expect(list[7]).toEqual([1, 2, 3]);
    }
  });
});

describe('damaged at random', () => {
  const seeds: readonly Buffer[] = [
    pickle(good()),
    pickle({ state_dict: good(), x: new Call(new Global('omegaconf.listconfig', 'ListConfig'), [[1]], {}) }),
    Buffer.from('8004953000000000000000 7d94 8c0161945d94284b014b026573 2e'.replaceAll(' ', ''), 'hex'),
  ];

  test('pickles are errors or data', async () => {
    const random = fuzzRandom(71);
    let read = 0;
    for (let i = 0; i < rounds(2000); i++) {
      const bytes = mutated(random.of(seeds), random);
      const result = await settles(() => runInWords(bytes));
      if (result !== undefined) read++;
    }
    expect(read).toBeGreaterThan(20);
  });

  test('opcodes in any order are errors or data', async () => {
    const random = fuzzRandom(72);
    const known = OPCODES.flatMap((run, code) => (run ? [code] : []));
    const names = [
      'torch\nSize\n',
      'collections\nOrderedDict\n',
      'torch._utils\n_rebuild_tensor_v2\n',
      'os\nsystem\n',
    ];
    for (let i = 0; i < rounds(2000); i++) {
      const parts = Array.from({ length: random.below(60) }, () => {
        const code = random.below(20) === 0 ? random.below(256) : random.of(known);
        const small = Buffer.from([random.below(4), 0, 0, 0]);
        const rest = code === 0x63 ? Buffer.from(random.of(names)) : small.subarray(0, random.below(5));
        return Buffer.concat([Buffer.from([code]), rest]);
      });
      await settles(() => runInWords(Buffer.concat([...parts, Buffer.from('.')])));
    }
  });

  test('files are errors or tables that lie in them', async () => {
    const random = fuzzRandom(73);
    const whole = [
      torchZip(good(), { 0: values }),
      torchLegacy(good(), { 0: { values: 6, data: values } }),
      zip(
        [
          ['a/data.pkl', pickle(good())],
          ['a/data/0', values],
        ],
        { wide: true },
      ),
    ];
    for (let i = 0; i < rounds(400); i++) {
      const bytes = mutated(random.of(whole), random);
      const file = await settles(() => open(bytes));
      for (const { offset, bytes: length } of file?.tensors ?? []) {
        expect(offset >= 0 && offset + length <= bytes.length).toBe(true);
      }
    }
  });
});

/** The pickle alone, without a file around it. */
function runInWords(data: Buffer): Promise<unknown> {
  return inWords('file.ckpt', async () => {
    const { value } = await runPickle(data, 0, undefined);
    checkTree(value);
    return value;
  });
}

describe('a file that changes', () => {
  test.each<[string, () => void]>([
    ['is cut', () => truncateSync(path, 100)],
    ['grows', () => appendFileSync(path, 'x')],
  ])('when it %s while it is read is an error', async (_, change) => {
    writeFileSync(path, torchZip(good(), { 0: values }));
    const work = RandomAccessFile.with(path, {}, async (file) => {
      await file.read(0, 10);
      change();
      return file.size;
    });
    await expect(work).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_WEIGHTS',
      message: expect.stringMatching(/was changed while it was being read/),
    });
  });

  test('is an error as soon as bytes are missing', async () => {
    writeFileSync(path, Buffer.alloc(1000));
    const work = RandomAccessFile.with(path, {}, async (file) => {
      truncateSync(path, 0);
      return file.read(500, 10);
    });
    await expect(work).rejects.toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_WEIGHTS' });
    await expect(RandomAccessFile.with(path, {}, (file) => file.read(0, 1))).rejects.toThrow(
      /truncated or damaged/,
    );
  });
});
