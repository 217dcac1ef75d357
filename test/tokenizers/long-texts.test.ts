import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { toBlocks } from '../../lib/prompts/blocks.js';
import { parseWeights, weightSlices } from '../../lib/prompts/weighting.js';
import { inOneGo, type Sliced } from '../../lib/slices.js';
import { CLIPTokenizer } from '../../lib/tokenizers/clip-tokenizer.js';
import { segmentsOf } from '../../lib/tokenizers/segments.js';
import { Random } from '../random.js';

const FIXTURE = 'test/fixtures/clip_vocab';

let folder: string;
let tokenizer: CLIPTokenizer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-long-'));
  tokenizer = await CLIPTokenizer.fromPretrained(FIXTURE);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Characters: a megabyte takes ten times as long, and nothing else. */
const SIZE = 2 ** 17;
const long = (part: string) => part.repeat(Math.ceil(SIZE / part.length)).slice(0, SIZE);

/** Long texts of all kinds. */
const TEXTS: readonly (readonly [string, string])[] = [
  ['words', long('a cat, ')],
  ['one word', long('a')],
  ['letters in no order', new Random(3).text('abcdefghijklmnopqrstuvwxyz', SIZE)],
  ['punctuation', long('!?#$%&*+-=~^/;:,.')],
  ['exclamation marks', long('!')],
  ['spaces', long(' ')],
  ['lines', long('\n')],
  ['nothing that counts', long('\0')],
  ['ideographs', long('写')],
  ['Cyrillic without spaces', long('ж')],
  ['Korean in parts', long('\u1112\u1161\u11ab')],
  ['sigmas', long('Σ')],
  ['accents of two kinds', `a${long('\u0301\u0327')}`],
  ['joined emoji', long('👩\u200d🚀')],
  ['halves of characters', long('\ud83d')],
  ['digits', long('7')],
  ['apostrophes', long("'")],
  ['nearly special tokens', long('<|endoftext')],
  ['special tokens', long('<|endoftext|>')],
];

describe('a long text of', () => {
  test.each(TEXTS)('%s: tokens come in small parts', (_, text) => {
    let largest = 0;
    let count = 0;
    for (const part of tokenizer.encodeParts(text)) {
      largest = Math.max(largest, part.length);
      count += part.length;
    }
    // Each ideograph has three bytes.
    expect(largest).toBeLessThanOrEqual(3 * 2048);
    expect(count).toBeLessThan(4 * SIZE);
  });

  test.each(TEXTS)('%s: cut off after 75 tokens, with a short excerpt', (_, text) => {
    const dropped: string[] = [];
    const ids = tokenizer.encodePadded(text, { onTruncated: (_, rest) => dropped.push(rest) });
    expect(ids).toHaveLength(77);
    expect(dropped.every((rest) => rest.length <= 201)).toBe(true);
    const notes: string[] = [];
    const options = { name: 'prompt', long: false, weighted: false, onTruncated: notes.push.bind(notes) };
    expect(inOneGo(toBlocks(tokenizer, text, options))[0]?.ids).toEqual([...ids]);
    expect(notes).toEqual(dropped);
  });

  test.each(TEXTS)('%s: too long to read all of it', (_, text) => {
    const options = { name: 'prompt', long: true, weighted: false, onTruncated: () => {} };
    try {
      inOneGo(toBlocks(tokenizer, text, options));
    } catch (error) {
      expect(error).toMatchObject({
        code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
        message: expect.stringMatching(/^prompt takes more than 850 blocks of 75 tokens$/),
      });
    }
  });
});

test('what is cut off is the beginning of the rest', () => {
  const dropped: string[] = [];
  const text = 'cat '.repeat(75) + 'dog '.repeat(1000);
  tokenizer.encodePadded(text, { onTruncated: (_, rest) => dropped.push(rest) });
  expect(dropped).toEqual([`${'dog '.repeat(50)}…`]);
});

describe('segments', () => {
  test('are all of the text, and end behind white space', () => {
    for (const [, text] of TEXTS) {
      const parts = [...segmentsOf(text)];
      expect(parts.join('')).toBe(text);
      expect(parts.every((part) => part.length <= 2048)).toBe(true);
    }
    for (const part of [...segmentsOf(long('a cat, '))].slice(0, -1)) expect(part).toMatch(/\s$/);
  });

  test('do not change the tokens of texts', () => {
    const random = new Random(5);
    // Words that lower case, accents and blanks could join or change over the border.
    const words = ['ΣΑΣ ', "it's ", 'é', '한국 ', 'a cat ', '\u0301', '写', 'ΑΣ\n', 'x!? ', '12 ', '\u00a0'];
    for (let round = 0; round < 20; round++) {
      const text = random.text(words, 3000);
      const whole = text.split(/(?<=\s)/u).flatMap((word) => tokenizer.encode(word));
      expect(tokenizer.encode(text)).toEqual(whole);
    }
  });

  test('between letters keep what belongs together', () => {
    const parts = [...segmentsOf(long('ge\u0301Σ'))];
    for (const part of parts.slice(1)) expect(part).toMatch(/^[ge]/);
    expect(parts.map((part) => part.normalize('NFC')).join('')).toBe(long('ge\u0301Σ').normalize('NFC'));
  });
});

describe('weights', () => {
  const steps = <T>(work: Sliced<T>): number => {
    for (let count = 0; ; count++) if (work.next().done) return count;
  };

  test.each([
    '(a',
    '[a',
    '(a)',
    '[a]',
    '((',
    '[(',
    ')]',
    ':1',
    '(a:',
    ':1.5)',
    '\\',
    '(a:0.9)',
    ': 1 ',
    '[]',
  ])('a long text of %j is read in parts', (part) => {
    const read = (size: number) => {
      try {
        return steps(weightSlices(part.repeat(size), 'prompt'));
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
        return 0;
      }
    };
    expect(read(SIZE / part.length)).toBeLessThan(20_000);
  });

  test('of a long text are joined with pauses', () => {
    // Each in a bracket of its own, and next to the one before.
    const pieces = 2 ** 15;
    const parts = [...inOneGo(weightSlices('(a:1)b'.repeat(pieces / 2), 'prompt'))];
    const read = parts.filter((part) => part !== undefined);
    expect(read.map((part) => part.text).join('')).toBe('ab'.repeat(pieces / 2));
    expect(new Set(read.map((part) => part.weight))).toEqual(new Set([1]));
    // Of which 4096 are looked at between pauses.
    expect(parts.filter((part) => part === undefined)).toHaveLength(pieces / 4096);
  });

  test('marks without letters are composed in short parts', () => {
    const lengths = [...segmentsOf(long('\u0301\u0327'))].slice(0, -4).map((part) => part.length);
    expect(new Set(lengths)).toEqual(new Set([512]));
  });

  test('of many brackets are as far as numbers go', () => {
    const parts = parseWeights('[a'.repeat(100_000));
    expect(parts.at(-1)?.weight).toBeLessThan(1e-300);
    expect(parts[1]?.weight).toBeCloseTo(1 / 1.1 ** 2, 12);
    expect(() => inOneGo(weightSlices('(a'.repeat(100_000), 'prompt'))).toThrow(/^prompt has the weight 106/);
    expect(() => inOneGo(weightSlices(`${'(['.repeat(100_000)}a`, 'prompt'))).toThrow(
      /weight (NaN|Infinity)/,
    );
  });
});

describe('tokens of a megabyte', () => {
  const vocab = JSON.parse(readFileSync(join(FIXTURE, 'vocab.json'), 'utf8'));
  const write = (name: string, value: unknown) =>
    writeFileSync(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value));
  const token = 'z'.repeat(1e6);

  test.each<[string, Record<string, unknown>, RegExp]>([
    [
      'special',
      { 'vocab.json': { ...vocab, [token]: 3 }, 'special_tokens_map.json': { pad_token: token } },
      /added token of 1000000 characters; at most 128/,
    ],
    ['added', { 'added_tokens.json': { [token.slice(0, 129)]: 50_000 } }, /129 characters; at most 128/],
    [
      'thousands of',
      {
        'added_tokens.json': Object.fromEntries(
          Array.from({ length: 3000 }, (_, i) => [`${token.slice(0, 100)}${i}`, 50_000 + i]),
        ),
      },
      /more than 262144 characters together/,
    ],
    ['missing', { 'special_tokens_map.json': { eos_token: token } }, /.{0,400}/],
    ['no number', { 'vocab.json': { ...vocab, [token]: token } }, /the id of "z{200}…/],
    ['a bad merge', { 'merges.txt': token }, /merge 1 is "z{200}…/],
    [
      'too many',
      { 'vocab.json': ' '.repeat(2 ** 22 + 1) },
      /vocab\.json: has 4194305 bytes; at most 4194304/,
    ],
  ])('%s', async (_, files, message) => {
    for (const name of ['vocab.json', 'merges.txt']) write(name, readFileSync(join(FIXTURE, name), 'utf8'));
    for (const [name, value] of Object.entries(files)) write(name, value);
    const error = await CLIPTokenizer.fromPretrained(folder).catch((error) => error);
    for (const name of Object.keys(files)) rmSync(join(folder, name));
    expect(error).toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_CONFIG',
      message: expect.stringMatching(message),
    });
    expect(error.message.length).toBeLessThan(1000);
  });
});
