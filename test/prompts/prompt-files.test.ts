import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { promptsOf } from '../../lib/cli/prompt-files.js';
import { runCli } from '../cli-run.js';
import { FOLDER } from '../pipelines/tiny.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-prompts-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("COCO's captions are the first of each picture", () => {
  const text = JSON.stringify({
    info: { year: 2017 },
    images: [{ id: 1 }, { id: 7 }],
    annotations: [
      { image_id: 7, id: 2, caption: 'A dog\non a  sofa. ' },
      { image_id: 1, id: 1, caption: ' ' },
      { image_id: 7, id: 3, caption: 'The same dog.' },
      { image_id: 1, id: 4, caption: 'A red house.' },
    ],
  });
  expect(promptsOf('captions_val2017.json', text)).toEqual(['A dog on a sofa.', 'A red house.']);
  expect(promptsOf('A.JSON', `\ufeff${text}`)).toHaveLength(2);
});

test('a table has its column, as PartiPrompts', () => {
  const text =
    'Prompt\tCategory\tChallenge\tNote\r\na bird\tAnimals\tBasic\t\r\n"a sign that says ""Hi"""\tArts\tWriting\tx\r\nsays "Hi" twice\tArts\r\n\r\n';
  expect(promptsOf('PartiPrompts.tsv', text)).toEqual(['a bird', 'a sign that says "Hi"', 'says "Hi" twice']);
  expect(promptsOf('b.tsv', 'Note\tprompt\nx\ta bird\ny')).toEqual(['a bird']);
});

test('anything else has one a line', () => {
  expect(promptsOf('a.txt', ' a dog \r\n\n{"a": 1}\n')).toEqual(['a dog', '{"a": 1}']);
  expect(promptsOf('-', 'a\tb\n')).toEqual(['a\tb']);
});

test.each([
  ['a.json', '{"annotations": 3}', /a.json has no list "annotations"/],
  ['a.json', '["a dog"]', /a.json/],
  ['a.json', '{"annotations": [', /a.json: is not JSON/],
  ['a.json', '{"annotations": [{"image_id": 1, "caption": "a"}, {"id": 2}]}', /number 2 of a.json/],
  ['a.json', '{"annotations": [null]}', /number 1 of a.json/],
  ['a.json', '{"annotations": []}', /a.json has no prompts/],
  ['a.tsv', 'Text\nx', /a.tsv has no column "Prompt" in its first line/],
  ['a.tsv', 'Prompt\n', /a.tsv has no prompts/],
])('%s of %j is refused', async (name, text, message) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  const { code, err } = await runCli(['generate', '-m', FOLDER, '--prompts', path]);
  expect(code).not.toBe(0);
  expect(err).toMatch(message);
});
