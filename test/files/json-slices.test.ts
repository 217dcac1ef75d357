import { describe, expect, test } from '@jest/globals';
import { jsonSlices, keysOf } from '../../lib/files/json-slices.js';
import { parsePythonJson } from '../../lib/files/python-json.js';
import { inOneGo } from '../../lib/slices.js';
import { Random } from '../random.js';

const read = (text: string) => inOneGo(jsonSlices(text));

/** Values of all kinds; some lists and objects are far larger than a part. */
function value(random: Random, level: number): unknown {
  const kind = random.below(level < 4 ? 7 : 5);
  if (kind < 2) return random.text(['a', '"', '\\', '{', ']', ',', 'é', '\n', '😀', ':'], random.below(12));
  if (kind === 2) return random.of([0, -1.5, 1e20, true, false, null]);
  if (kind === 3) return [];
  if (kind === 4) return {};
  const items = Array.from({ length: random.below(level < 2 ? 40 : 12) }, () => value(random, level + 1));
  return kind === 5 ? items : Object.fromEntries(items.map((item, i) => [`${random.below(30)} ${i}`, item]));
}

test('values are those of JSON.parse', () => {
  const random = new Random(11);
  let long = 0;
  for (let round = 0; round < 20; round++) {
    const whole = { list: Array.from({ length: 60 }, () => value(random, 0)), more: value(random, 0) };
    const text = JSON.stringify(whole, null, random.of([0, 2]));
    if (text.length > 2 ** 15) long++;
    expect(read(text)).toEqual(whole);
  }
  expect(long).toBeGreaterThan(10);
});

test('what is damaged is an error, as it is for JSON.parse', () => {
  const random = new Random(12);
  const items = Array.from({ length: 900 }, () => value(random, 2));
  const text = JSON.stringify({ a: items, b: { c: items }, d: 1 });
  expect(text.length).toBeGreaterThan(2 ** 15);
  const outcome = (parse: (text: string) => unknown, damaged: string) => {
    try {
      return parse(damaged);
    } catch (error) {
      expect(error).toBeInstanceOf(SyntaxError);
      return 'an error';
    }
  };
  for (let round = 0; round < 80; round++) {
    const at = random.below(text.length);
    const change = random.of(['', ',', ']', '}', '[', '{', '"', ':', ' ', '1', '\\']);
    const damaged = text.slice(0, at) + change + text.slice(at + random.below(2));
    expect(outcome(read, damaged)).toEqual(outcome(parsePythonJson, damaged));
  }
});

const LONG = JSON.stringify('x'.repeat(9000));

test.each([
  `[${LONG},${LONG},${LONG},${LONG},]`,
  `[,${LONG},${LONG},${LONG},${LONG}]`,
  `[${LONG},${LONG},,${LONG},${LONG}]`,
  `[${LONG},${LONG},${LONG},${LONG}}`,
  `[${LONG},${LONG},${LONG},${LONG}`,
  `[${LONG},${LONG},${LONG},${LONG}] 1`,
  `1 [${LONG},${LONG},${LONG},${LONG}]`,
  `[[${LONG},${LONG},${LONG},${LONG}] 1, 2]`,
  `{"a" [${LONG},${LONG},${LONG},${LONG}]}`,
  `{"a": 1 [${LONG},${LONG},${LONG},${LONG}]}`,
  `{[${LONG},${LONG},${LONG},${LONG}]}`,
  `[1 [${LONG},${LONG},${LONG},${LONG}]]`,
  `[${LONG},${LONG},${LONG},${LONG}],`,
  `${'['.repeat(65)}${LONG},${LONG},${LONG},${LONG}${']'.repeat(65)}`,
])('text %# is an error', (text) => {
  expect(() => read(text)).toThrow(SyntaxError);
});

const objectOf = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, 0]));

test('objects may be bounded more tightly, but for those of small texts', () => {
  const bounded = (value: unknown) => inOneGo(jsonSlices(JSON.stringify(value), 1000));
  expect(() => bounded([LONG, objectOf(1000)])).not.toThrow();
  expect(() => bounded([LONG, objectOf(1001)])).toThrow('too many entries in an object');
  expect(() => bounded({ ...objectOf(1000), b: LONG })).toThrow('too many entries in an object');
  expect(() => bounded({ list: Array(30_000).fill(0), nested: { a: objectOf(999), b: LONG } })).not.toThrow();
});

describe('a large object', () => {
  const names = Array.from({ length: 20_000 }, (_, i) => `${i % 2 ? 'b' : ''}${i}`);
  const text = `{${names.map((name) => `"${name}":NaN`).join()},"__proto__":[1],"last":-Infinity}`;
  const whole = read(text) as Record<string, unknown>;

  test('has all entries as its own', () => {
    expect(whole).toEqual(parsePythonJson(text));
    expect(Object.getPrototypeOf(whole)).toBe(Object.prototype);
    expect(Object.hasOwn(whole, '__proto__')).toBe(true);
  });

  test('tells its keys, each once', () => {
    expect([...keysOf(whole)].sort()).toEqual([...names, '__proto__', 'last'].sort());
    expect([...keysOf({ b: 1, a: 2 })]).toEqual(['b', 'a']);
  });

  test('is read in parts of a few hundred entries', () => {
    const work = jsonSlices(text);
    let pauses = 0;
    while (!work.next().done) pauses++;
    expect(pauses).toBeGreaterThanOrEqual(Math.floor(text.length / 2 ** 14));
  });
});

test.each<[string, (count: number) => unknown]>([
  ['list', (count) => Array(count).fill(0)],
  ['list of lists', (count) => [LONG, ...Array(count - 1).fill([])]],
])('more than 131072 items are not read: %s', (_, whole) => {
  expect(() => read(JSON.stringify([whole(2 ** 17)]))).not.toThrow();
  expect(() => read(JSON.stringify([whole(2 ** 17 + 1)]))).toThrow('too many items in a list');
});
