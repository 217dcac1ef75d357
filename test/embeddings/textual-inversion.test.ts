import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { readEmbeddingFile } from '../../lib/embeddings/embedding-file.js';
import { type TextReader, TextualInversions } from '../../lib/embeddings/textual-inversions.js';
import { StableDiffusionImg2ImgPipeline, type StableDiffusionPipeline } from '../../lib/index.js';
import { latentsOf, loadTiny, rejection, sameBits } from '../pipelines/tiny.js';
import { type GivenTensor, writeSafetensors } from '../safetensors-file.js';
import { Call, Global, type Pickled, Tensor, torchZip } from '../weights/torch-writer.js';

const WIDTH = 32;

let pipe: StableDiffusionPipeline;
let folder: string;
beforeAll(async () => {
  pipe = await loadTiny();
  folder = mkdtempSync(join(tmpdir(), 'deepcache-inversion-'));
});
afterEach(() => pipe.unloadTextualInversion());
afterAll(async () => {
  await pipe.dispose();
  rmSync(folder, { recursive: true });
});

/** The rows that the model's own table has for the tokens of a text. */
async function rowsOf(text: string): Promise<Float32Array> {
  const ids = pipe.tokenizer.encode(text);
  const table = weights('text_model.embeddings.token_embedding.weight');
  return Float32Array.from(ids.flatMap((id) => [...table.subarray(id * WIDTH, (id + 1) * WIDTH)]));
}

function weights(name: string): Float32Array {
  const bytes = readFileSync('test/fixtures/sd15-tiny/text_encoder/model.safetensors');
  const end = 8 + Number(bytes.readBigUInt64LE());
  const [from, to] = JSON.parse(bytes.toString('utf8', 8, end))[name].data_offsets as [number, number];
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset + end + from, bytes.byteOffset + end + to));
}

function write(name: string, tensors: Record<string, GivenTensor>): string {
  const path = join(folder, name);
  writeSafetensors(path, tensors);
  return path;
}

const vectors = (data: Float32Array): GivenTensor => ({ shape: [data.length / WIDTH, WIDTH], data });
const noise = (count: number, seed = 1) =>
  Float32Array.from({ length: count * WIDTH }, (_, i) => Math.sin(i * 7.3 + seed) / 10);

describe('inside of an adapter', () => {
  const layer = 'lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q';
  const lora = async (name: string, token: string) => {
    const [rows = 0] =
      pipe.unet.weightShapes().find((one) => one.name.endsWith('attn1.to_q.weight'))?.shape ?? [];
    const zeros = new Float32Array(rows);
    return write(name, {
      [`${layer}.lora_up.weight`]: { shape: [rows, 1], data: zeros },
      [`${layer}.lora_down.weight`]: { shape: [1, rows], data: zeros },
      [`bundle_emb.${token}.string_to_param.*`]: vectors(await rowsOf('a')),
    });
  };

  test('it comes and goes with that', async () => {
    const info = await pipe.loadLora(await lora('bundle.safetensors', 'cat-toy'));
    expect(info.unknownKeys).toEqual([]);
    expect(pipe.textualInversions).toMatchObject([{ token: 'cat-toy', adapter: 'bundle', vectors: [1] }]);
    const plain = await latentsOf(pipe, { prompt: 'the a' });
    expect(sameBits(await latentsOf(pipe, { prompt: 'the cat-toy' }), plain)).toBe(true);
    await pipe.unloadLora('bundle');
    expect(pipe.textualInversions).toEqual([]);
    expect(sameBits(await latentsOf(pipe, { prompt: 'the cat-toy' }), plain)).toBe(false);
  });

  test('one whose token is taken refuses the file, and leaves all as it was', async () => {
    await pipe.loadTextualInversion(write('own.safetensors', { toy: vectors(noise(1)) }));
    const failed = await rejection(pipe.loadLora(await lora('taken.safetensors', 'toy')));
    expect(failed.message).toContain('"toy" is taken by own.safetensors');
    expect(pipe.loras).toEqual([]);
    expect(pipe.textualInversions).toHaveLength(1);
  });
});

// A token whose vectors are rows of the table itself is those tokens: results are the same, bit for bit.
describe('a token stands for its vectors', () => {
  test('one, by the name of its key', async () => {
    const data = await rowsOf('a');
    await pipe.loadTextualInversion(write('one.safetensors', { '<thing>': vectors(data) }));
    expect(pipe.textualInversions).toMatchObject([
      { token: '<thing>', file: 'one.safetensors', vectors: [1] },
    ]);
    expect(
      sameBits(await latentsOf(pipe, { prompt: 'the <thing>' }), await latentsOf(pipe, { prompt: 'the a' })),
    ).toBe(true);
  });

  test('several, by the name of the file, in negative prompts and inside words too', async () => {
    const data = await rowsOf('a the of');
    await pipe.loadTextualInversion(write('Multi.safetensors', { emb_params: vectors(data) }));
    const run = (prompt: string, negativePrompt: string) => latentsOf(pipe, { prompt, negativePrompt });
    expect(sameBits(await run('Multi, in', 'onMultiof'), await run('a the of , in', 'on a the of of'))).toBe(
      true,
    );
    // Case counts.
    expect(sameBits(await run('multi', ''), await run('a the of', ''))).toBe(false);
  });

  test('under another name, with weights and in long prompts', async () => {
    const data = await rowsOf('a the');
    await pipe.loadTextualInversion(write('x.safetensors', { emb_params: vectors(data) }), { token: 'zq' });
    const options = { longPrompts: true, promptWeighting: true, clipSkip: 1 };
    const run = (prompt: string) => latentsOf(pipe, { prompt, ...options });
    const rest = 'of '.repeat(74);
    expect(sameBits(await run(`(zq:1.3) BREAK ${rest}zq`), await run(`(a the:1.3) BREAK ${rest}a the`))).toBe(
      true,
    );
  });

  test('values of 16 bits', async () => {
    const half = { shape: [WIDTH], data: new Uint16Array(WIDTH).fill(0x3c00), dtype: 'F16' };
    const full = { shape: [1, WIDTH], data: new Float32Array(WIDTH).fill(1) };
    await pipe.loadTextualInversion(write('half.safetensors', { half }));
    await pipe.loadTextualInversion(write('full.safetensors', { full }));
    expect(
      sameBits(await latentsOf(pipe, { prompt: 'half' }), await latentsOf(pipe, { prompt: 'full' })),
    ).toBe(true);
  });
});

describe('pickles', () => {
  const tensor = (key: string) => new Tensor({ key, shape: [2, WIDTH] });
  const parameters = new Map<Pickled, Pickled>([['*', tensor('0')]]);
  const module = new Call(new Global('torch.nn.modules.container', 'ParameterDict'), [], {
    _parameters: parameters,
  });
  test.each<[string, Pickled, string]>([
    [
      'of the web UI, by the name in them',
      { string_to_token: { '*': 265 }, string_to_param: parameters, name: 'inside' },
      'inside',
    ],
    [
      'of the original code',
      { string_to_token: { '*': new Tensor({ key: '1', shape: [1] }) }, string_to_param: module },
      'file',
    ],
    ['of diffusers', { '<thing>': tensor('0') }, '<thing>'],
    ['a tensor alone', tensor('0'), 'file'],
  ])('%s', async (_, content, token) => {
    const path = join(folder, 'file.pt');
    const data = await rowsOf('a the');
    const storages = { 0: new Uint8Array(data.buffer), 1: new Uint8Array(4) };
    writeFileSync(path, torchZip(content, storages));
    expect((await pipe.loadTextualInversion(path)).token).toBe(token);
    expect(
      sameBits(
        await latentsOf(pipe, { prompt: `of ${token}` }),
        await latentsOf(pipe, { prompt: 'of a the' }),
      ),
    ).toBe(true);
  });
});

test('ids follow the vocabulary in the order of loading', async () => {
  await pipe.loadTextualInversion(write('first.safetensors', { first: vectors(noise(2)) }));
  await pipe.loadTextualInversion(write('second.safetensors', { second: vectors(noise(1, 5)) }));
  const list = pipe.textualInversions;
  expect(list.map(({ token }) => token)).toEqual(['first', 'second']);
  expect(list[0]?.hash).toBe(
    createHash('sha256')
      .update(readFileSync(join(folder, 'first.safetensors')))
      .digest('hex')
      .slice(0, 12),
  );
  const both = await latentsOf(pipe, { prompt: 'second' });
  pipe.unloadTextualInversion('first');
  expect(sameBits(await latentsOf(pipe, { prompt: 'second' }), both)).toBe(true);
});

test('what is unloaded leaves nothing behind', async () => {
  const before = await latentsOf(pipe, { prompt: 'a qx' });
  await pipe.loadTextualInversion(write('qx.safetensors', { qx: vectors(noise(3)) }));
  expect(sameBits(await latentsOf(pipe, { prompt: 'a qx' }), before)).toBe(false);
  pipe.unloadTextualInversion('qx');
  expect(sameBits(await latentsOf(pipe, { prompt: 'a qx' }), before)).toBe(true);
  expect(pipe.textualInversions).toEqual([]);
});

test('pipelines over the same models share them', async () => {
  await using other = StableDiffusionImg2ImgPipeline.from(pipe);
  await other.loadTextualInversion(write('qy.safetensors', { qy: vectors(noise(1)) }));
  expect(pipe.textualInversions).toHaveLength(1);
  pipe.unloadTextualInversion('qy');
  expect(other.textualInversions).toHaveLength(0);
});

test('an unloaded text encoder has them when it comes back', async () => {
  await using small = await loadTiny({ unloadTextEncoder: true });
  const file = write('qz.safetensors', { qz: vectors(noise(2)) });
  await small.loadTextualInversion(file);
  await pipe.loadTextualInversion(file);
  expect(sameBits(await latentsOf(small, { prompt: 'qz' }), await latentsOf(pipe, { prompt: 'qz' }))).toBe(
    true,
  );
});

test('who reads texts keeps what was there when it began', async () => {
  const branch = { tokenizer: pipe.tokenizer, encoder: pipe.textEncoder };
  const inversions = new TextualInversions();
  const file = write('qk.safetensors', { qk: vectors(noise(1)) });
  inversions.add(await readEmbeddingFile(file), undefined, [branch]);
  const reader = inversions.readerOf(branch, 0);
  const encode = async ({ tokenizer, encoder, added }: TextReader) =>
    (await encoder.encode(tokenizer.encodePadded('a qk'), 1, { added })).last;
  const before = await encode(reader);
  inversions.remove();
  expect(sameBits(await encode(reader), before)).toBe(true);
  expect(sameBits(await encode(inversions.readerOf(branch, 0)), before)).toBe(false);
});

test('settings of pictures name those that were used', async () => {
  const used = await pipe.loadTextualInversion(write('used.safetensors', { '<used>': vectors(noise(1)) }));
  const bad = await pipe.loadTextualInversion(write('bad.safetensors', { emb_params: vectors(noise(1, 3)) }));
  await pipe.loadTextualInversion(write('unused.safetensors', { emb_params: vectors(noise(1, 4)) }));
  const { settings } = await pipe.generate({ prompt: 'a <used>', negativePrompt: 'bad', steps: 2, seed: 1 });
  expect(settings[0]).toContain(`TI hashes: "<used>: ${used.hash}, bad: ${bad.hash}"`);
  expect(settings[0]).toContain('TI files: "<used>: used.safetensors, bad: bad.safetensors"');
});

describe('refused, and nothing is loaded', () => {
  const file = (name: string, tensors: Record<string, GivenTensor>) => () => write(name, tensors);
  const one = (width: number) => ({ shape: [1, width], data: new Float32Array(width).fill(0.5) });
  test.each<[string, () => string, string | undefined, string, RegExp]>([
    [
      'another width',
      file('wide.safetensors', { wide: one(768) }),
      undefined,
      'INVALID_WEIGHTS',
      /wide\.safetensors.*768.*SD 1\.x.*has one of 32/,
    ],
    [
      "SDXL's",
      file('xl.safetensors', { clip_l: one(768), clip_g: one(1280) }),
      undefined,
      'INVALID_WEIGHTS',
      /xl\.safetensors.*SDXL's two text encoders/,
    ],
    [
      'a LoRA',
      file('l.safetensors', { 'lora_unet_a.lora_down.weight': one(4), 'lora_unet_a.lora_up.weight': one(4) }),
      undefined,
      'INVALID_WEIGHTS',
      /is a LoRA/,
    ],
    [
      'several tensors',
      file('m.safetensors', { a: one(32), b: one(32) }),
      undefined,
      'INVALID_WEIGHTS',
      /holds 2 tensors \("a", "b"\)/,
    ],
    ['no tensors', file('none.safetensors', {}), undefined, 'INVALID_WEIGHTS', /holds no tensor/],
    [
      'another shape',
      file('s.safetensors', { s: { shape: [1, 1, 32], data: new Float32Array(32) } }),
      undefined,
      'INVALID_WEIGHTS',
      /"s" is of shape \[1, 1, 32\]/,
    ],
    [
      'too many',
      file('t.safetensors', { t: { shape: [2000, 1], data: new Float32Array(2000) } }),
      undefined,
      'INVALID_WEIGHTS',
      /shape \[2000, 1\]/,
    ],
    [
      'values that are not finite',
      file('n.safetensors', { n: { shape: [32], data: new Float32Array(32).fill(Number.NaN) } }),
      undefined,
      'INVALID_WEIGHTS',
      /not finite/,
    ],
    [
      'whole numbers',
      file('i.safetensors', { i: { shape: [32], data: new Int32Array(32), dtype: 'I32' } }),
      undefined,
      'INVALID_WEIGHTS',
      /dtype I32/,
    ],
    [
      'a token with spaces',
      file('e.safetensors', { e: one(32) }),
      'a b',
      'INVALID_ARGUMENT',
      /token must be without spaces/,
    ],
    ['an empty token', file('e.safetensors', { e: one(32) }), '', 'INVALID_ARGUMENT', /token must be a text/],
    [
      'a long token',
      file('e.safetensors', { e: one(32) }),
      'x'.repeat(200),
      'INVALID_ARGUMENT',
      /at most 120/,
    ],
    [
      'a token of the model',
      file('e.safetensors', { e: one(32) }),
      '<|endoftext|>',
      'INVALID_ARGUMENT',
      /token of the model itself/,
    ],
    [
      'a file of its own token with spaces',
      file('e.safetensors', { 'e f': one(32) }),
      undefined,
      'INVALID_ARGUMENT',
      /e\.safetensors says so/,
    ],
    ['a missing file', () => join(folder, 'missing.pt'), undefined, 'INVALID_WEIGHTS', /missing\.pt/],
  ])('%s', async (_, make, token, code, says) => {
    const options = token === undefined ? {} : { token };
    const error = await rejection(pipe.loadTextualInversion(make(), options));
    expect(error).toMatchObject({ code: `ERR_DEEPCACHE_${code}`, message: expect.stringMatching(says) });
    expect(pipe.textualInversions).toEqual([]);
  });

  test('a token that is taken, also by a vector of another one', async () => {
    await pipe.loadTextualInversion(write('style.safetensors', { style: vectors(noise(2)) }));
    const again = pipe.loadTextualInversion(write('other.safetensors', { style: vectors(noise(1)) }));
    expect((await rejection(again)).message).toMatch(/"style" is taken by style\.safetensors/);
    const part = pipe.loadTextualInversion(join(folder, 'other.safetensors'), { token: 'style_1' });
    expect((await rejection(part)).message).toMatch(/"style_1" is taken by style\.safetensors/);
    expect(pipe.textualInversions).toHaveLength(1);
  });

  test('one that is not there, a signal, and a disposed pipeline', async () => {
    expect(() => pipe.unloadTextualInversion('nobody')).toThrow(/"nobody" is not loaded; none is/);
    const reason = new Error('enough');
    const file = write('sig.safetensors', { sig: vectors(noise(1)) });
    await expect(pipe.loadTextualInversion(file, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const other = await loadTiny();
    await other.dispose();
    const { code } = await rejection(other.loadTextualInversion(file));
    expect(code).toBe('ERR_DEEPCACHE_DISPOSED');
  });
});

test('native code checks the rows that it is given', async () => {
  const ids = Int32Array.from([1, pipe.textEncoder.vocabSize + 1]);
  const encode = (added: Float32Array) => pipe.textEncoder.encode(ids, 1, { added });
  await expect(encode(new Float32Array(WIDTH))).rejects.toThrow(/outside of the vocabulary of 1001/);
  await expect(encode(new Float32Array(WIDTH + 1))).rejects.toThrow(/added must be/);
  await expect(encode(new Float32Array(2 * WIDTH).fill(Number.NaN))).rejects.toThrow(/added\[0\]/);
  await expect(encode(new Float32Array(2 * WIDTH))).resolves.toBeDefined();
});
