import { describe, expect, test } from '@jest/globals';
import { applyWeights, parseWeights } from '../../lib/prompts/weighting.js';

const parsed = (text: string) => parseWeights(text).map(({ text, weight }) => [text, weight]);

describe('parseWeights', () => {
  // The examples that the web UI documents its parser with, then others that were run through it.
  test.each<[string, [string, number][]]>([
    ['normal text', [['normal text', 1]]],
    [
      'an (important) word',
      [
        ['an ', 1],
        ['important', 1.1],
        [' word', 1],
      ],
    ],
    ['(unbalanced', [['unbalanced', 1.1]]],
    ['\\(literal\\]', [['(literal]', 1]]],
    ['(unnecessary)(parens)', [['unnecessaryparens', 1.1]]],
    [
      'a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).',
      [
        ['a ', 1],
        ['house', 1.5730000000000004],
        [' ', 1.1],
        ['on', 1],
        [' a ', 1.1],
        ['hill', 0.55],
        [', sun, ', 1.1],
        ['sky', 1.4641000000000006],
        ['.', 1.1],
      ],
    ],
    [
      'a [b] [[c]]',
      [
        ['a ', 1],
        ['b', 1 / 1.1],
        [' ', 1],
        ['c', 1 / 1.1 / 1.1],
      ],
    ],
    [
      '(a: 1.5 ) b:2) c',
      [
        ['a', 1.5],
        [' b:2) c', 1],
      ],
    ],
    [
      '(ratio 16:9) at 3:2',
      [
        // A number before the closing bracket is a weight, wanted or not.
        ['ratio 16', 9],
        [' at 3:2', 1],
      ],
    ],
    ['a) b] \\\\ c\\d', [['a) b] \\ cd', 1]]],
    [
      '(a [b) c]',
      [
        ['a ', 1.1],
        ['b', 1.1 / 1.1],
        [' c', 1 / 1.1],
      ],
    ],
    ['(a:-0.5)', [['a', -0.5]]],
    ['(a:.5)', [['a', 0.5]]],
    ['(a:0)', [['a', 0]]],
    ['(a:b)', [['a:b', 1.1]]],
    ['(a:1e3)', [['a:1e3', 1.1]]],
    ['()', []],
    ['', []],
  ])('%j', (text, expected) => {
    const weights = parsed(text);
    expect(weights.map(([part]) => part)).toEqual(expected.map(([part]) => part));
    for (const [i, [, weight]] of expected.entries()) expect(weights[i]?.[1]).toBeCloseTo(weight, 12);
  });

  test('weights beyond 100 are refused, by name', () => {
    expect(parsed('(a:100)')).toEqual([['a', 100]]);
    for (const text of ['(a:100.5)', '((a:50):-50)', '('.repeat(5000), `${'('.repeat(5000)}a`, '(a:-101)']) {
      if (text.endsWith('(')) expect(parsed(text)).toEqual([]);
      else expect(() => parseWeights(text, 'negativePrompt')).toThrow(/^negativePrompt has the weight/);
    }
  });

  test('long texts', () => {
    // Minutes, if it were with the square.
    for (const text of [
      `:${'1'.repeat(1e5)}`,
      `(a:${' '.repeat(1e5)}`,
      ': '.repeat(1e5),
      '(a)'.repeat(3e5),
    ]) {
      const letters = parseWeights(text).map((part) => part.text);
      expect(letters.join('') === text.replaceAll(/[()]/g, '')).toBe(true);
    }
  });
});

describe('applyWeights', () => {
  test('multiplies tokens, then brings the mean of the block back', () => {
    const states = Float32Array.of(1, 2, 3, 4);
    applyWeights(states, [1, 3]);
    // [1, 2, 9, 12] has the mean 6 where it was 2.5.
    [1, 2, 9, 12].forEach((value, i) => {
      expect(states[i]).toBeCloseTo((value * 2.5) / 6, 6);
    });
  });

  test('weights of 1 change no bit', () => {
    const states = Float32Array.from({ length: 77 * 3 }, (_, i) => Math.sin(i) * 1e3);
    const before = states.slice();
    applyWeights(states, Array(77).fill(1));
    expect(states).toEqual(before);
  });

  test('a mean that becomes zero is left', () => {
    const states = Float32Array.of(1, 1);
    applyWeights(states, [1, -1]);
    expect([...states]).toEqual([1, -1]);
  });
});
