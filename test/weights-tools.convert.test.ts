import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { floatToBfloat, floatToHalf } from '../lib/math/half.js';
import { native } from '../lib/native/binding.js';
import { convertValues } from '../weights-tools/dtypes.js';
import { createProgram } from '../weights-tools/program.js';
import { SafetensorsWriter } from '../weights-tools/safetensors-writer.js';
import { runCli } from './cli-run.js';

const TINY = 'test/fixtures/sd15-tiny';
const STEM = 'diffusion_pytorch_model';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-convert-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const path = (name: string) => join(folder, name);
const convert = (input: string, output: string, dtype: string, ...args: string[]) =>
  runCli(['convert', input, '-o', output, '--dtype', dtype, ...args], { create: createProgram });
const read = (file: string) => {
  const source = new (native().SafetensorsFile)(file);
  return new Map(source.tensors.map(({ name }) => [name, source.read(name)]));
};

async function write(file: string, tensors: Record<string, { dtype: string; data: ArrayBufferView }>) {
  const entries = Object.entries(tensors).map(([name, { dtype, data }]) => {
    const bytes = data.byteLength;
    const width = dtype === 'I64' ? 8 : dtype === 'F32' ? 4 : 2;
    return { name, dtype, shape: [bytes / width], bytes };
  });
  const writer = await SafetensorsWriter.create(file, entries, { made: 'by a test' });
  for (const { data } of Object.values(tensors)) await writer.write(new Uint8Array(data.buffer));
  await writer.finish();
}

describe('rounding', () => {
  const bits = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0] as number;

  // By IEEE 754: binary16 has 10 bits of fraction and exponents from -14 to 15.
  test.each([
    [0, 0],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [65519, 0x7bff],
    [65520, 0x7c00],
    [Number.POSITIVE_INFINITY, 0x7c00],
    [Number.NaN, 0x7e00],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [1 + 2 ** -11 + 2 ** -20, 0x3c01],
    [2 ** -14, 0x0400],
    [2 ** -14 - 2 ** -26, 0x0400],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000],
    [2 ** -25 + 2 ** -40, 0x0001],
    [3 * 2 ** -25, 0x0002],
    [1e-30, 0x0000],
  ])('%d to fp16', (value, half) => expect(floatToHalf(bits(value))).toBe(half));

  test.each([
    [1, 0x3f80],
    [1 + 2 ** -8, 0x3f80],
    [1 + 3 * 2 ** -8, 0x3f82],
    [1 + 2 ** -8 + 2 ** -20, 0x3f81],
    [-3e38, 0xff62],
    [Number.NaN, 0x7fc0],
  ])('%d to bf16', (value, half) => expect(floatToBfloat(bits(value))).toBe(half));

  test('every fp16 and bf16 number survives the way through fp32', () => {
    const all = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
    for (const [type, exponent] of [
      ['F16', 0x7c00],
      ['BF16', 0x7f80],
    ] as const) {
      const wide = convertValues(all.slice().buffer, type, 'F32').bytes;
      const back = new Uint16Array(convertValues(wide.slice().buffer, 'F32', type).bytes.buffer);
      const isNumber = (half: number) => (half & 0x7fff) <= exponent;
      expect(all.filter((half) => isNumber(half) && back[half] !== half)).toHaveLength(0);
      expect(all.filter((half) => !isNumber(half) && isNumber(back[half] as number))).toHaveLength(0);
    }
  });
});

describe('a file', () => {
  const source = `${TINY}/vae/${STEM}.safetensors`;

  test('there and back: fp16 is reached once', async () => {
    expect(await convert(source, path('half.safetensors'), 'fp16')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/half\.safetensors: 4\d\d kB\n$/),
    });
    await convert(path('half.safetensors'), path('float.safetensors'), 'fp32');
    await convert(path('float.safetensors'), path('again.safetensors'), 'fp16');
    expect(readFileSync(path('again.safetensors'))).toEqual(readFileSync(path('half.safetensors')));
    const [exact, rounded] = [read(source), read(path('float.safetensors'))];
    expect([...rounded.keys()]).toEqual([...exact.keys()]);
    for (const [name, data] of exact) {
      const near = new Float32Array(rounded.get(name) as ArrayBuffer);
      // Half a unit in the last place, or half of the smallest subnormal.
      const isFar = (value: number, i: number) =>
        Math.abs((near[i] as number) - value) > Math.abs(value) * 2 ** -11 + 2 ** -25;
      expect({ name, far: new Float32Array(data).findIndex(isFar) }).toEqual({ name, far: -1 });
    }
  });

  test('whole numbers and metadata stay', async () => {
    const ids = BigInt64Array.of(1n, -5n);
    await write(path('mixed.safetensors'), {
      ids: { dtype: 'I64', data: ids },
      values: { dtype: 'F32', data: Float32Array.of(0.1) },
    });
    expect((await convert(path('mixed.safetensors'), path('bf16.safetensors'), 'bf16')).code).toBe(0);
    const file = new (native().SafetensorsFile)(path('bf16.safetensors'));
    expect(file.metadata).toEqual({ made: 'by a test' });
    expect(new BigInt64Array(file.read('ids'))).toEqual(ids);
    expect(new Uint16Array(file.read('values'))).toEqual(Uint16Array.of(0x3dcd));
  });

  test('values beyond the range are an error that leaves no file', async () => {
    await write(path('large.safetensors'), { big: { dtype: 'F32', data: Float32Array.of(7e4, 1, -1e5) } });
    const { code, err } = await convert(path('large.safetensors'), path('small.safetensors'), 'fp16');
    expect(code).toBe(1);
    expect(err).toMatch(/tensor "big" has 2 values beyond the range of F16; bf16 has the range of fp32/);
    expect(readdirSync(folder).filter((name) => name.startsWith('small'))).toEqual([]);
  });
});

describe('folders', () => {
  test('a whole model still fits together', async () => {
    expect((await convert(TINY, path('model'), 'bf16')).code).toBe(0);
    const { out } = await runCli(['inspect', path('model')]);
    expect(out.match(/ BF16 /g)).toHaveLength(3);
    expect(out).toContain('no problems found');
    const { code } = await runCli([
      ...['generate', '-m', path('model'), '-p', 'x', '--steps', '2', '-o', path('model.png')],
    ]);
    expect(code).toBe(0);
  });

  test('shards become one file', async () => {
    const shards = path('shards');
    cpSync(`${TINY}/unet`, shards, { recursive: true });
    const whole = read(`${shards}/${STEM}.safetensors`);
    rmSync(`${shards}/${STEM}.safetensors`);
    const parts: Record<string, { dtype: string; data: ArrayBufferView }>[] = [{}, {}];
    const map: Record<string, string> = {};
    [...whole].forEach(([name, data], i) => {
      (parts[i % 2] as (typeof parts)[0])[name] = { dtype: 'F32', data: new Float32Array(data) };
      map[name] = `${STEM}-0000${(i % 2) + 1}-of-00002.safetensors`;
    });
    for (const [i, part] of parts.entries()) {
      await write(`${shards}/${STEM}-0000${i + 1}-of-00002.safetensors`, part);
    }
    writeFileSync(`${shards}/${STEM}.safetensors.index.json`, JSON.stringify({ weight_map: map }));
    expect((await convert(shards, path('joined'), 'fp32')).code).toBe(0);
    expect(readdirSync(path('joined')).sort()).toEqual(['config.json', `${STEM}.safetensors`]);
    const joined = read(path(`joined/${STEM}.safetensors`));
    expect(joined.size).toBe(whole.size);
    for (const [name, data] of whole) {
      expect(Buffer.from(joined.get(name) as ArrayBuffer).equals(Buffer.from(data))).toBe(true);
    }
  });
});

describe('wrong use', () => {
  test.each([
    [['convert', TINY, '--dtype', 'fp16'], 2, /required option '-o, --output <path>' not specified/],
    [['convert', TINY, '-o', 'x', '--max-shard-size', '5'], 2, /must be a size such as 5GB/],
    [['convert', TINY, '-o', 'x', '--output-variant', '../y'], 2, /must be letters and digits/],
    [['convert', TINY, '-o', 'x', '--use-ema'], 2, /use-?ema.*is for models in a single file/i],
    [['convert', TINY, '-o', '.ci', '--dtype', 'fp16'], 2, /\.ci is not empty; --force/],
    [['convert', TINY, '-o', 'x', '--dtype', 'int4'], 2, /Allowed choices are fp32, fp16, bf16/],
    [['convert', TINY, '-o', TINY, '--dtype', 'fp16'], 2, /--output must be a different path from the input/],
    [['convert', 'nowhere', '-o', 'x', '--dtype', 'fp16'], 1, /nowhere: does not exist/],
    [
      ['convert', 'package.json', '-o', 'x', '--dtype', 'fp16'],
      1,
      /package\.json: is a file; a model is a folder/,
    ],
    [['convert', '.ci', '-o', 'x', '--dtype', 'fp16'], 1, /has no weights beside a config\.json/],
  ])('%j', async (args, expected, message) => {
    const { code, err } = await runCli(args, { create: createProgram });
    expect(err).toMatch(message);
    expect(code).toBe(expected);
    expect(existsSync('x')).toBe(false);
  });

  test('a tensor in two shards', async () => {
    const same = { twice: { dtype: 'F32', data: Float32Array.of(1) } };
    for (const name of ['one', 'two']) await write(path(`${name}.safetensors`), same);
    writeFileSync(path('config.json'), '{}');
    writeFileSync(
      path('model.safetensors.index.json'),
      JSON.stringify({ weight_map: { twice: 'one.safetensors', other: 'two.safetensors' } }),
    );
    const { code, err } = await convert(folder, `${folder}-out`, 'fp16');
    rmSync(`${folder}-out`, { recursive: true, force: true });
    expect(code).toBe(1);
    expect(err).toMatch(/tensor "twice" is in another file too/);
  });
});

test('a place that cannot be written to has a code', async () => {
  const args = ['convert', 'test/fixtures/sd15-tiny/vae', '--dtype', 'f16', '-o', `${folder}/file/x`];
  writeFileSync(`${folder}/file`, '');
  const { code, err } = await runCli(args, { create: createProgram });
  expect(err).toMatch(/file\/x cannot be written: ENOTDIR.*\[ERR_DEEPCACHE_OUTPUT\]/);
  expect(code).toBe(1);
});

test('what is half written has a name that nobody can guess', async () => {
  const path = `${folder}/guess.safetensors`;
  writeFileSync(`${folder}/victim`, 'precious');
  symlinkSync(`${folder}/victim`, `${path}.part`);
  const writer = await SafetensorsWriter.create(
    path,
    [{ name: 'x', dtype: 'F32', shape: [1], bytes: 4 }],
    {},
  );
  await writer.write(new Uint8Array(4));
  await writer.finish();
  expect(readFileSync(`${folder}/victim`, 'utf8')).toBe('precious');
});
