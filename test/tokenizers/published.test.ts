import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { CLIPTokenizer } from '../../lib/tokenizers/clip-tokenizer.js';
import { publishedTokenizer } from '../../lib/tokenizers/published.js';

// The tokenizer that comes with the package, against CLIP's own files.

const { rows } = JSON.parse(readFileSync('test/fixtures/tokenizer/clip_table.json', 'utf8')) as {
  rows: { text: string; ids: number[]; bang_ids?: number[] }[];
};

describe('the tokenizer of published models', () => {
  test('makes the known ids', async () => {
    const tokenizer = await publishedTokenizer('<|endoftext|>');
    expect(tokenizer.encode('a photo of a cat')).toEqual([320, 1125, 539, 320, 2368]);
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.padTokenId]).toEqual([49406, 49407, 49407]);
    expect([tokenizer.vocabSize, tokenizer.maxTokenId, tokenizer.modelMaxLength]).toEqual([49408, 49407, 77]);
  });

  test.each(['<|endoftext|>', '!'])('reads the reference texts, filled up with %s', async (pad) => {
    const tokenizer = await publishedTokenizer(pad);
    for (const { text, ids, bang_ids } of rows) {
      const expected = pad === '!' ? (bang_ids ?? ids) : ids;
      expect([...tokenizer.encodePadded(text)].slice(0, expected.length)).toEqual(expected);
    }
    expect(tokenizer.encodePadded('').at(-1)).toBe(pad === '!' ? 0 : 49407);
  });

  test('has every token of the vocabulary under its id', async () => {
    const [own, files] = [
      await publishedTokenizer('<|endoftext|>'),
      await CLIPTokenizer.fromPretrained('test/fixtures/clip_vocab'),
    ];
    const all = (tokenizer: CLIPTokenizer) =>
      Array.from({ length: 49408 }, (_, id) => tokenizer.decode([id]));
    expect(all(own)).toEqual(all(files));
  });
});
