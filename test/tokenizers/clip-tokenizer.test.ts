import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { CLIPTokenizer } from '../../lib/tokenizers/clip-tokenizer.js';

interface Row {
  text: string;
  tokens: string[];
  ids: number[];
  bang_tokens?: string[];
  bang_ids?: number[];
}

const VOCABULARY = 'test/fixtures/clip_vocab';
const { rows } = JSON.parse(readFileSync('test/fixtures/tokenizer/clip_table.json', 'utf8')) as {
  rows: Row[];
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-tokenizer-'));
  for (const file of ['vocab.json', 'merges.txt']) copyFileSync(join(VOCABULARY, file), join(folder, file));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(file: string, content: unknown) {
  writeFileSync(join(folder, file), typeof content === 'string' ? content : JSON.stringify(content));
}

function padded(ids: number[], pad: number) {
  return Int32Array.from([...ids, ...new Array(77 - ids.length).fill(pad)]);
}

describe('the reference table', () => {
  let tokenizer: CLIPTokenizer;
  beforeAll(async () => {
    tokenizer = await CLIPTokenizer.fromPretrained(VOCABULARY);
  });

  test.each(rows)('$text', ({ text, tokens, ids }) => {
    expect(tokenizer.tokenize(text)).toEqual(tokens);
    expect(tokenizer.encodePadded(text)).toEqual(padded(ids, 49407));
  });
});

describe('a pad token "!"', () => {
  test('takes every exclamation mark of a text; special_tokens_map.json wins over the config', async () => {
    write('tokenizer_config.json', { pad_token: '<|endoftext|>', model_max_length: 77 });
    write('special_tokens_map.json', { pad_token: { content: '!' } });
    const tokenizer = await CLIPTokenizer.fromPretrained(folder);
    expect(tokenizer.padTokenId).toBe(0);
    for (const { text, tokens, ids, bang_tokens, bang_ids } of rows) {
      expect(tokenizer.tokenize(text)).toEqual(bang_tokens ?? tokens);
      expect(tokenizer.encodePadded(text)).toEqual(padded(bang_ids ?? ids, 0));
    }
  });

  test('comes from tokenizer_config.json where the map is missing', async () => {
    write('tokenizer_config.json', { pad_token: '!' });
    expect((await CLIPTokenizer.fromPretrained(folder)).padTokenId).toBe(0);
  });
});

describe('encodePadded', () => {
  test('cuts long texts off and tells what was dropped', async () => {
    const tokenizer = await CLIPTokenizer.fromPretrained(VOCABULARY);
    const dropped: [number, string][] = [];
    const long = `${'photo '.repeat(74)}of a Cat, über`;
    const ids = tokenizer.encodePadded(['short', long], { onTruncated: (...args) => dropped.push(args) });
    expect(ids).toHaveLength(2 * 77);
    expect(ids[77]).toBe(49406);
    expect(ids[2 * 77 - 1]).toBe(49407);
    expect(dropped).toEqual([[1, 'a cat , über']]);
  });

  test('follows model_max_length, and takes 77 for "unknown"', async () => {
    write('tokenizer_config.json', { model_max_length: 8 });
    const tokenizer = await CLIPTokenizer.fromPretrained(folder);
    expect(tokenizer.encodePadded('a photo of a cat on a mat')).toHaveLength(8);
    write('tokenizer_config.json', { model_max_length: 1e30 });
    expect((await CLIPTokenizer.fromPretrained(folder)).modelMaxLength).toBe(77);
  });
});

describe('broken files are named', () => {
  const cases: [string, string, unknown, RegExp][] = [
    ['no JSON', 'vocab.json', '{"a": 1', /vocab\.json: is not JSON/],
    ['a list', 'vocab.json', [1], /vocab\.json: must hold a JSON object/],
    ['an id that is no number', 'vocab.json', { a: 'b' }, /vocab\.json: the id of "a" is "b"/],
    ['no special tokens', 'vocab.json', { a: 0 }, /vocab\.json: has no entry for the bos_token/],
    ['half a merge', 'merges.txt', '#version: 0.2\ni n\nt\n', /merges\.txt: merge 2 is "t"/],
    ['a bad config', 'tokenizer_config.json', 'x', /tokenizer_config\.json: is not JSON/],
    ['a bad length', 'tokenizer_config.json', { model_max_length: 'x' }, /model_max_length is "x"/],
    ['an unknown pad token', 'special_tokens_map.json', { pad_token: '[PAD]' }, /pad_token "\[PAD\]"/],
  ];
  test.each(cases)('%s: %s', async (_, file, content, message) => {
    write(file, content);
    await expect(CLIPTokenizer.fromPretrained(folder)).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_CONFIG',
      message: expect.stringMatching(message),
    });
  });

  test.each(['vocab.json', 'merges.txt'])('without %s', async (file) => {
    rmSync(join(folder, file));
    await expect(CLIPTokenizer.fromPretrained(folder)).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_CONFIG',
      message: expect.stringContaining(`${file}: is missing`),
    });
  });
});
