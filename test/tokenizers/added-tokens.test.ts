import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { CLIPTokenizer } from '../../lib/tokenizers/clip-tokenizer.js';

// The tiny model's vocabulary: 1000 ids less one, which is enough for everything that is added to one.
const FIXTURE = 'test/fixtures/sd15-tiny/tokenizer';
const vocab = JSON.parse(readFileSync(join(FIXTURE, 'vocab.json'), 'utf8')) as Record<string, number>;
const merges = readFileSync(join(FIXTURE, 'merges.txt'), 'utf8').trim().split('\n').slice(1);
const NEW = 1000;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-tokenizer-'));
  for (const file of ['vocab.json', 'merges.txt']) copyFileSync(join(FIXTURE, file), join(folder, file));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (file: string, content: unknown) =>
  writeFileSync(join(folder, file), typeof content === 'string' ? content : JSON.stringify(content));
const load = () => CLIPTokenizer.fromPretrained(folder);
const plain = { lstrip: false, rstrip: false, single_word: false, normalized: true, special: false };
/** A tokenizer_config.json of transformers 4.34 and newer. */
const decoder = (tokens: Record<number, object>) =>
  write('tokenizer_config.json', {
    added_tokens_decoder: Object.fromEntries(
      Object.entries(tokens).map(([id, token]) => [id, { ...plain, ...token }]),
    ),
  });

describe('where added tokens are written down', () => {
  const places: [string, () => void][] = [
    ['added_tokens.json', () => write('added_tokens.json', { '<my-style>': NEW })],
    ['tokenizer_config.json', () => decoder({ [NEW]: { content: '<my-style>' } })],
    [
      'tokenizer.json',
      () => write('tokenizer.json', { added_tokens: [{ ...plain, id: NEW, content: '<my-style>' }] }),
    ],
  ];
  test.each(places)('%s', async (_, prepare) => {
    prepare();
    const tokenizer = await load();
    expect(tokenizer.tokenize('a <my-style> a')).toEqual(['a</w>', '<my-style>', 'a</w>']);
    expect(tokenizer.encode('<my-style>')).toEqual([NEW]);
    expect(tokenizer.maxTokenId).toBe(NEW);
    expect(tokenizer.decode([NEW])).toBe('<my-style>');
  });

  test('the list of tokenizer_config.json is whole: older files beside it are not read', async () => {
    decoder({ [NEW]: { content: '<new>' } });
    write('added_tokens.json', { '<old>': NEW + 1 });
    const tokenizer = await load();
    expect(tokenizer.tokenize('<new>')).toEqual(['<new>']);
    expect(tokenizer.tokenize('<old>').length).toBeGreaterThan(1);
  });

  test('further special tokens without an id come after all others', async () => {
    write('added_tokens.json', { '<a>': Object.keys(vocab).length });
    write('special_tokens_map.json', { additional_special_tokens: ['<b>', { ...plain, content: '<c>' }] });
    const next = Object.keys(vocab).length + 1;
    expect((await load()).encode('<c><a><b>')).toEqual([next + 1, next - 1, next]);
  });

  test('a pad token may be an added one; with a list of added tokens the configuration names it', async () => {
    write('tokenizer_config.json', {
      pad_token: '<pad>',
      added_tokens_decoder: { [NEW]: { ...plain, content: '<pad>', special: true } },
    });
    write('special_tokens_map.json', { pad_token: '!' });
    const tokenizer = await load();
    expect(tokenizer.padTokenId).toBe(NEW);
    expect(tokenizer.encodePadded('a').at(-1)).toBe(NEW);
  });

  test.each([
    ['added_tokens.json', { '<x>': 'first' }],
    ['added_tokens.json', { '<x>': -1 }],
    ['added_tokens.json', { '': NEW }],
    ['tokenizer_config.json', { added_tokens_decoder: { x: { content: '<x>' } } }],
    ['tokenizer_config.json', { added_tokens_decoder: { [NEW]: {} } }],
    ['tokenizer.json', { added_tokens: [5] }],
    ['tokenizer.json', { added_tokens: [{ content: '<x>', id: 'abc' }] }],
  ])('%s with %j is an error that names it', async (file, content) => {
    write(file, content);
    await expect(load()).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_CONFIG',
      message: expect.stringContaining(file),
    });
  });
});

test.each([
  [{ x1: { content: '<x>' } }, 'the id of "<x>" is "x1"'],
  [{ '': { content: '<x>' } }, 'the id of "<x>" is ""'],
  [{ '0x10': { content: '<x>' } }, 'the id of "<x>" is "0x10"'],
  [{ abc: {} }, 'has an added token without text, of id "abc"'],
])('an id that is no number is told as it stands: %j', async (added_tokens_decoder, message) => {
  write('tokenizer_config.json', { added_tokens_decoder });
  await expect(load()).rejects.toThrow(message);
});

describe('how they are found in a text, as in transformers', () => {
  // Expected values: transformers' PreTrainedTokenizer.tokenize of these tokens, worked out by its rules.
  const cases: [string, Record<string, object>, string, string[]][] = [
    ['in their own letters only', { '<Me>': {} }, '<Me><me>', ['<Me>', '<</w>', 'me</w>', '></w>']],
    ['inside of words', { sks: {} }, 'asksa', ['a</w>', 'sks', 'a</w>']],
    ['the longest first', { '<a>': {}, '<a>b': {}, '<': {} }, '<<a>b<a>', ['<', '<a>b', '<a>']],
    ['single words', { sks: { single_word: true } }, 'sks asks sks', ['sks', 'a', 's', 'k', 's</w>', 'sks']],
    ['with a dot and a star', { 'a.*': {} }, 'a.*a', ['a.*', 'a</w>']],
  ];
  test.each(cases)('%s', async (_, tokens, text, expected) => {
    decoder(
      Object.fromEntries(
        Object.entries(tokens).map(([content, flags], i) => [NEW + i, { content, ...flags }]),
      ),
    );
    const found = (await load()).tokenize(text);
    const joined = (list: string[]) => list.join('').replaceAll('</w>', ' ');
    // Pieces of words depend on the merges: what matters is where added tokens stand.
    expect(joined(found)).toBe(joined(expected));
    expect(found.filter((token) => token in tokens)).toEqual(expected.filter((token) => token in tokens));
  });

  test('a neighbour that a single word is glued to is text, though it was a token', async () => {
    decoder({ [NEW]: { content: '<x>' }, [NEW + 1]: { content: 'sks', single_word: true } });
    expect((await load()).tokenize('<x>sks')).not.toContain('<x>');
  });

  test('spaces that belong to a token leave its neighbours', async () => {
    decoder({
      [NEW]: { content: 'L', lstrip: true },
      [NEW + 1]: { content: 'R', rstrip: true },
      [NEW + 2]: { content: ' ' },
    });
    // A space is a token itself here, where none has taken it.
    expect((await load()).tokenize('a L aR a')).toEqual(['a</w>', 'L', ' ', 'a</w>', 'R', 'a</w>']);
  });

  test('thousands of them, in a long text', async () => {
    const count = 20_000;
    const added = Array.from({ length: count }, (_, i) => [`<tok-${i}>`, NEW + i] as const);
    write('added_tokens.json', Object.fromEntries(added));
    const tokenizer = await load();
    const text = added.map(([content]) => content).join('');
    expect(tokenizer.encode(text)).toEqual(added.map(([, id]) => id));
    // Nearly tokens, all the way.
    expect(tokenizer.encode('<tok-'.repeat(20_000)).every((id) => id < NEW)).toBe(true);
  });
});

describe('tokenizer.json alone', () => {
  const special = (content: string) => ({ ...plain, id: vocab[content], content, special: true });
  const model = { type: 'BPE', end_of_word_suffix: '</w>', unk_token: '<|endoftext|>', vocab, merges };
  const json = {
    version: '1.0',
    added_tokens: [
      special('<|startoftext|>'),
      special('<|endoftext|>'),
      { ...plain, id: NEW, content: '<x>' },
    ],
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'NFC' },
        { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' },
        { type: 'Lowercase' },
      ],
    },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [{ type: 'Split', behavior: 'Removed', invert: true }, { type: 'ByteLevel' }],
    },
    model,
  };
  const text = 'A photo of <x>, the lighthouse!';

  test.each([
    ['as CLIP has it', json],
    ['with pairs', { ...json, model: { ...model, merges: merges.map((merge) => merge.split(' ')) } }],
    ['without steps', { ...json, normalizer: null, pre_tokenizer: null }],
    ['of an old version', { ...json, model: { ...model, type: undefined } }],
  ])('%s', async (_, content) => {
    write('added_tokens.json', { '<x>': NEW });
    const expected = (await load()).encodePadded(text);
    for (const file of ['vocab.json', 'merges.txt', 'added_tokens.json']) rmSync(join(folder, file));
    write('tokenizer.json', content);
    const tokenizer = await load();
    expect(tokenizer.encodePadded(text)).toEqual(expected);
    expect(tokenizer).toMatchObject({ modelMaxLength: 77, padTokenId: vocab['<|endoftext|>'] });
  });

  test.each([
    ['Unigram', { ...json, model: { type: 'Unigram', vocab: [] } }],
    ['WordPiece', { ...json, model: { type: 'WordPiece', vocab } }],
    ['end_of_word_suffix', { ...json, model: { ...model, end_of_word_suffix: undefined } }],
    ['byte_fallback', { ...json, model: { ...model, byte_fallback: true } }],
    ['BertNormalizer', { ...json, normalizer: { type: 'BertNormalizer' } }],
    ['Lowercase', { ...json, normalizer: { type: 'NFC' } }],
    ['Metaspace', { ...json, pre_tokenizer: { type: 'Metaspace' } }],
  ])('another kind is named: %s', async (name, content) => {
    rmSync(join(folder, 'vocab.json'));
    write('tokenizer.json', content);
    await expect(load()).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_UNSUPPORTED',
      message: expect.stringContaining(name),
    });
  });

  test.each([
    ['no vocabulary', { ...json, model: { ...model, vocab: 5 } }, /vocabulary/],
    ['no merges', { ...json, model: { ...model, merges: null } }, /merges/],
    ['half a merge', { ...json, model: { ...model, merges: ['a b', ['a']] } }, /merge 2/],
    ['an id that is none', { ...json, model: { ...model, vocab: { a: -1 } } }, /the id of "a"/],
  ])('broken: %s', async (_, content, message) => {
    rmSync(join(folder, 'vocab.json'));
    write('tokenizer.json', content);
    await expect(load()).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_CONFIG',
      message: expect.stringMatching(message),
    });
  });
});
