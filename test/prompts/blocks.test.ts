import { beforeAll, describe, expect, test } from '@jest/globals';
import { type BlockOptions, emptyBlock, toBlocks } from '../../lib/prompts/blocks.js';
import { inOneGo } from '../../lib/slices.js';
import { CLIPTokenizer } from '../../lib/tokenizers/clip-tokenizer.js';

let tokenizer: CLIPTokenizer;
beforeAll(async () => {
  tokenizer = await CLIPTokenizer.fromPretrained('test/fixtures/clip_vocab');
});

const START = 49406;
const END = 49407;
const CAT = 2368;

const read = (text: string, options: Partial<BlockOptions> = {}) =>
  inOneGo(
    toBlocks(tokenizer, text, {
      name: 'prompt',
      long: true,
      weighted: false,
      onTruncated: () => {
        throw new Error('cut off');
      },
      ...options,
    }),
  );
/** How many tokens each block holds. */
const lengths = (text: string) => read(text).map(({ ids }) => ids.indexOf(END) - 1);
const cats = (count: number) => 'cat '.repeat(count);

describe('long texts', () => {
  test.each([
    [0, [0]],
    [1, [1]],
    [75, [75]],
    [76, [75, 1]],
    [150, [75, 75]],
    [200, [75, 75, 50]],
  ])('%i tokens', (count, expected) => {
    expect(lengths(cats(count))).toEqual(expected);
    for (const { ids, weights } of read(cats(count))) {
      expect(ids).toHaveLength(77);
      expect(ids[0]).toBe(START);
      expect(ids.at(-1)).toBe(END);
      expect(weights).toEqual(Array(77).fill(1));
    }
  });

  test('a short one is what the tokenizer makes of it', () => {
    const text = 'a photo of a (red) house, [BREAKFAST] at 7:30!';
    expect(read(text)[0]?.ids).toEqual([...tokenizer.encodePadded(text)]);
  });

  test('BREAK starts the next block, other words do not', () => {
    expect(lengths('a cat BREAK a big dog')).toEqual([2, 3]);
    expect(lengths('a cat, BREAK, a dog')).toEqual([3, 3]);
    expect(lengths('BREAK cat')).toEqual([0, 1]);
    expect(lengths('cat BREAK')).toEqual([1]);
    expect(lengths('cat BREAK BREAK dog')).toEqual([1, 0, 1]);
    expect(lengths('break breaks BREAKS xBREAK')).toHaveLength(1);
    expect(lengths(`${cats(80)} BREAK dog`)).toEqual([75, 5, 1]);
  });
});

describe('without the option', () => {
  test('texts are cut off, and what is lost is told', () => {
    const dropped: string[] = [];
    const text = `${cats(75)} red house BREAK`;
    const [block, ...others] = read(text, { long: false, onTruncated: (lost) => dropped.push(lost) });
    expect(others).toEqual([]);
    expect(block?.ids).toEqual([...tokenizer.encodePadded(text)]);
    expect(dropped).toEqual(['red house break']);
  });
});

describe('weights', () => {
  test('go with the tokens of their part', () => {
    const [block] = read('cat (cat cat:1.5) [cat]', { weighted: true });
    expect(block?.ids.slice(0, 6)).toEqual([START, CAT, CAT, CAT, CAT, END]);
    const weights = [1, 1, 1.5, 1.5, 1 / 1.1, 1, 1];
    for (const [i, weight] of weights.entries()) expect(block?.weights[i]).toBeCloseTo(weight, 12);
  });

  test('cross the border of blocks, and BREAK', () => {
    const blocks = read(`(${cats(74)} cat cat BREAK cat:2)`, { weighted: true });
    expect(blocks.map(({ weights }) => weights.filter((weight) => weight === 2).length)).toEqual([75, 1, 1]);
  });

  test('are what is left when the rest is cut off', () => {
    const dropped: string[] = [];
    const onTruncated = (lost: string) => dropped.push(lost);
    const [block] = read(`${cats(74)} (cat dog:2)`, { weighted: true, long: false, onTruncated });
    expect(block?.weights.filter((weight) => weight === 2)).toHaveLength(1);
    expect(dropped).toEqual(['dog']);
  });

  test('are text without the option', () => {
    const [block] = read('(cat:1.5)');
    expect(block?.ids).toEqual([...tokenizer.encodePadded('(cat:1.5)')]);
    expect(block?.weights).toEqual(Array(77).fill(1));
  });
});

test('the empty block is the empty text', () => {
  expect(emptyBlock(tokenizer).ids).toEqual([...tokenizer.encodePadded('')]);
});

test('too many blocks are refused', () => {
  expect(read(cats(75 * 850))).toHaveLength(850);
  expect(() => read(cats(75 * 850 + 1))).toThrow(/^prompt takes more than 850 blocks of 75 tokens$/);
});
