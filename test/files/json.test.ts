import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readJson } from '../../lib/files/json.js';
import { parsePythonJson } from '../../lib/files/python-json.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('parsePythonJson reads what Python writes and leaves strings alone', () => {
  expect(parsePythonJson('{"a": -Infinity, "b": [Infinity, NaN, 1], "c": "is \\"NaN\\", Infinity"}')).toEqual(
    {
      a: -Infinity,
      b: [Infinity, null, 1],
      c: 'is "NaN", Infinity',
    },
  );
  expect(() => parsePythonJson('{"a": Infinit}')).toThrow(SyntaxError);
});

test('strings and escapes, also those that never end', () => {
  const list = ['"[[["', '"\\\\"', '"\\"NaN"', '"{"', '""'];
  expect(parsePythonJson(`[${list.join()}]`)).toEqual(list.map((text) => JSON.parse(text)));
  for (const text of ['"a', '{"a":"\\', '{"a": "b\\"', '"\\u12', '']) {
    expect(() => parsePythonJson(text)).toThrow(SyntaxError);
  }
});

test('time grows with the text, whatever it holds', () => {
  // Seconds with a pattern that looks for the end of a string from each of its quotes.
  for (const part of ['\\"', '"', '\\', 'Infinity ', '-', 'Na']) {
    expect(() => parsePythonJson(`{"a":"${part.repeat(400_000)}`)).toThrow(SyntaxError);
  }
  expect(parsePythonJson(`"${'x'.repeat(4_000_000)}"`)).toHaveLength(4_000_000);
});

test('a limit on levels', () => {
  const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
  expect(parsePythonJson(nested(64))).toBeInstanceOf(Array);
  expect(() => parsePythonJson(nested(65))).toThrow(/more than 64 levels/);
  expect(() => parsePythonJson('{"a":'.repeat(500_000))).toThrow(SyntaxError);
});

test.each([
  ['{"a": 1', /is not JSON/],
  ['[1]', /must hold a JSON object/],
  ['null', /must hold a JSON object/],
  ['', /is not JSON/],
  [`{"a": "${' '.repeat(2 ** 20)}"}`, /has \d+ bytes; at most 1048576/],
  ['{"a":'.repeat(100), /has more than 64 levels/],
  [
    JSON.stringify(Object.fromEntries(Array.from({ length: 2049 }, (_, i) => [i, 0]))),
    /has too many entries in an object$/,
  ],
])('refuses %.20j, naming the file', async (text, message) => {
  const path = join(folder, 'config.json');
  writeFileSync(path, text);
  await expect(readJson(path)).rejects.toMatchObject({
    code: 'ERR_DEEPCACHE_INVALID_CONFIG',
    message: expect.stringMatching(message),
  });
  await expect(readJson(path)).rejects.toThrow(path);
});

test('names that objects inherit are fields like others', async () => {
  const path = join(folder, 'names.json');
  writeFileSync(path, '{"toString": 1, "constructor": 2, "__proto__": 3}');
  const { value } = await readJson(path);
  expect(Object.entries(value)).toEqual([
    ['toString', 1],
    ['constructor', 2],
    ['__proto__', 3],
  ]);
});
