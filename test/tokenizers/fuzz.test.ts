import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parsePythonJson } from '../../lib/files/python-json.js';
import { toBlocks } from '../../lib/prompts/blocks.js';
import { inOneGo } from '../../lib/slices.js';
import { CLIPTokenizer } from '../../lib/tokenizers/clip-tokenizer.js';
import { fuzzRandom, mutated, rounds, settles } from '../fuzz.js';

const FIXTURE = 'test/fixtures/sd15-tiny/tokenizer';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-fuzz-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Small files of all kinds that a tokenizer may have. */
const files = () => {
  const special = { bos_token: '<|startoftext|>', eos_token: { content: '<|endoftext|>', lstrip: false } };
  const tokens = ['a', 'b', 'a</w>', 'b</w>', 'ab', 'ab</w>', '<|startoftext|>', '<|endoftext|>', '!'];
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  return {
    'vocab.json': JSON.stringify(vocab),
    'merges.txt': '#version: 0.2\na b\na b</w>\n',
    'tokenizer_config.json': JSON.stringify({
      ...special,
      model_max_length: 77,
      added_tokens_decoder: { 7: { content: '<|endoftext|>' }, 9: { content: '<new>', single_word: true } },
    }),
    'special_tokens_map.json': JSON.stringify({ ...special, pad_token: '!' }),
    'added_tokens.json': JSON.stringify({ '<more>': 10 }),
    'tokenizer.json': JSON.stringify({
      added_tokens: [{ id: 9, content: '<new>', lstrip: true }],
      model: { type: 'BPE', end_of_word_suffix: '</w>', vocab, merges: ['a b', ['a', 'b</w>']] },
    }),
  };
};

test('damaged tokenizer files', async () => {
  const random = fuzzRandom(21);
  let loaded = 0;
  for (let i = 0; i < rounds(400); i++) {
    const all = Object.entries(files());
    const broken = random.below(all.length);
    for (const [k, [name, text]] of all.entries()) {
      const path = join(folder, name);
      if (random.below(12) === 0) rmSync(path, { force: true });
      else writeFileSync(path, k === broken ? mutated(Buffer.from(text), random) : text);
    }
    const tokenizer = await settles(() => CLIPTokenizer.fromPretrained(folder));
    if (!tokenizer) continue;
    loaded++;
    const ids = tokenizer.encodePadded('abba <new> ab! <more><|endoftext|>');
    expect(ids).toHaveLength(tokenizer.modelMaxLength);
    tokenizer.decode(ids);
  }
  expect(loaded).toBeGreaterThan(20);
});

test('values of other kinds in tokenizer files', async () => {
  const random = fuzzRandom(22);
  const values = [
    null,
    true,
    0,
    -1,
    1.5,
    1e308,
    '',
    '\ud800',
    'toString',
    '__proto__',
    [],
    {},
    [[]],
    { content: {} },
  ];
  const change = (value: unknown): unknown => {
    if (random.below(4) === 0) return random.of(values);
    if (Array.isArray(value)) return value.map(change);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(([key, inner]) => [key, change(inner)]);
    return Object.fromEntries([...entries, [random.of(['toString', 'constructor', 'content']), 1]]);
  };
  for (let i = 0; i < rounds(300); i++) {
    for (const [name, text] of Object.entries(files())) {
      const isJson = name.endsWith('.json') && random.below(3) === 0;
      writeFileSync(join(folder, name), isJson ? JSON.stringify(change(JSON.parse(text))) : text);
    }
    const tokenizer = await settles(() => CLIPTokenizer.fromPretrained(folder));
    tokenizer?.encode('abba <new>');
  }
});

test('prompts of all characters and brackets', async () => {
  const random = fuzzRandom(23);
  const tokenizer = await CLIPTokenizer.fromPretrained(FIXTURE);
  const pieces = [
    ...[
      '(',
      ')',
      '[',
      ']',
      ':1.2)',
      ':',
      '\\',
      '\\(',
      ' BREAK ',
      'BREAK',
      '1e9',
      ':9999)',
      '-',
      "'s",
      '<|endoftext|>',
    ],
    ...[
      'cat',
      'Σ',
      'é',
      '\u0301',
      '\u200d',
      '👩',
      '\ud800',
      '\udc00',
      '\0',
      '\n',
      ' ',
      '写',
      'ǆ',
      'İ',
      '\u1161',
      'x',
    ],
  ];
  for (let i = 0; i < rounds(400); i++) {
    const text = random.text(pieces, random.below(400));
    const options = {
      name: 'prompt',
      long: random.below(2) === 0,
      weighted: random.below(2) === 0,
      onTruncated: (rest: string) => expect(rest.length).toBeLessThan(202),
    };
    const blocks = await settles(() => inOneGo(toBlocks(tokenizer, text, options)));
    for (const { ids, weights } of blocks ?? []) {
      expect(ids).toHaveLength(77);
      expect(weights.every((weight) => Math.abs(weight) <= 100)).toBe(true);
    }
  }
});

test('JSON as Python writes it, damaged', () => {
  const random = fuzzRandom(24);
  const text = readFileSync('test/fixtures/sd15-tiny/unet/config.json');
  for (let i = 0; i < rounds(2000); i++) {
    const broken = mutated(text, random).toString('utf8');
    const parse = (read: (text: string) => unknown): unknown => {
      try {
        return read(broken);
      } catch (error) {
        // Not instanceof: errors of another realm, in Jest.
        expect((error as Error).name).toBe('SyntaxError');
        return undefined;
      }
    };
    // What JSON allows is the same.
    const plain = parse(JSON.parse);
    if (plain !== undefined) expect(parse(parsePythonJson)).toEqual(plain);
    else parse(parsePythonJson);
  }
});
