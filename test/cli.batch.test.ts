import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Line, linesOf } from '../lib/batch/lines.js';
import { readSettings } from '../lib/index.js';
import { runCli } from './cli-run.js';

const MODEL = 'test/fixtures/sd15-tiny';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-batch-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);
const entries = () =>
  readFileSync(at('out/results.jsonl'), 'utf8')
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text));

const batch = (lines: readonly (string | object)[], ...args: string[]) => {
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
  writeFileSync(at('jobs.jsonl'), text);
  return runCli([
    'batch',
    at('jobs.jsonl'),
    '-o',
    at('out'),
    '-m',
    MODEL,
    '--device',
    'cpu',
    '--steps',
    '2',
    ...args,
  ]);
};

const pictures = () =>
  readdirSync(at('out'))
    .filter((name) => name.endsWith('.png'))
    .sort();

describe('deepcache batch', () => {
  test('makes a picture for each line, with a line of its own in the record', async () => {
    const { code, out, err } = await batch(
      [
        'a lighthouse',
        '',
        { prompt: 'a tower', seed: 7, steps: 3, name: 'tower' },
        { prompt: 'two', numImages: 2, seed: 1 },
      ],
      '--seed',
      '3',
    );
    expect(err).toContain('3 made');
    expect(code).toBe(0);
    expect(pictures()).toEqual(['000001.png', '000003-tower.png', '000004-1.png', '000004-2.png']);
    expect(out).toContain('000003-tower.png  a tower');
    const settings = async (name: string) => readSettings(at(join('out', name)));
    expect(await settings('000001.png')).toMatchObject({ fields: { Seed: '3', Steps: '2' } });
    expect(await settings('000003-tower.png')).toMatchObject({ fields: { Seed: '7', Steps: '3' } });
    const four = entries().find(({ line }) => line === 4);
    expect(four).toMatchObject({ state: 'done', files: ['000004-1.png', '000004-2.png'], seeds: [1] });
  });

  test('goes on where it stopped', async () => {
    const lines = ['one', 'two', 'three'];
    await batch(lines);
    const record = readFileSync(at('out/results.jsonl'), 'utf8').split('\n');
    // A kill in the middle of a line.
    writeFileSync(at('out/results.jsonl'), `${record[0]}\n${record[1]?.slice(0, 20)}`);
    const { code, err } = await batch(lines);
    expect(code).toBe(0);
    expect(err).toContain('2 made, 1 there before');
    const again = await batch(lines);
    expect(again.err).toContain('0 made, 3 there before');
    expect((await batch(lines, '--force')).err).toContain('3 made');
  });

  test('a line that asks for something else than what is there is an error', async () => {
    await batch(['one']);
    const { code, err } = await batch(['another']);
    expect(code).toBe(2);
    expect(err).toContain('line 1 asks for something else');
  });

  test('what is wrong with a line is its own affair', async () => {
    const { code, err } = await batch([
      'one',
      { prompt: 'two', stepz: 1 },
      '{"prompt": "three"',
      { prompt: 'four', name: '../../escape' },
      { prompt: 'five', image: at('none.png') },
      'six',
    ]);
    expect(code).toBe(1);
    expect(err).toContain('line 2: stepz is not an option; did you mean steps?');
    expect(err).toMatch(/line 3: jobs is no JSON object/);
    expect(err).toContain("line 4: name must be a file's name");
    expect(err).toMatch(/line 5: .*none\.png/);
    expect(pictures()).toEqual(['000001.png', '000006.png']);
    expect(entries().filter(({ state }) => state === 'failed')).toHaveLength(4);
    expect(existsSync(join(folder, '..', 'escape.png'))).toBe(false);
    // Failed lines are tried again.
    expect((await batch(['one', 'two', 'three', 'four', 'five', 'six'])).err).toContain(
      '4 made, 2 there before',
    );
  });

  test('reads standard input, and prints its lines', async () => {
    const { code, out } = await runCli(
      [
        'batch',
        '-',
        '-o',
        at('out'),
        '-m',
        MODEL,
        '--device',
        'cpu',
        '--steps',
        '1',
        '--json',
        '--format',
        'webp',
      ],
      { stdin: 'a\nb\n' },
    );
    expect(code).toBe(0);
    const lines = out
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text));
    expect(lines.map(({ line }) => line).sort()).toEqual([1, 2]);
    expect(existsSync(at('out/000002.webp'))).toBe(true);
  });

  test('says what is wrong before it begins', async () => {
    const missing = await runCli(['batch', at('none.jsonl'), '-o', at('out'), '-m', MODEL]);
    expect([missing.code, missing.err]).toEqual([2, expect.stringContaining('none.jsonl')]);
    writeFileSync(at('file'), '');
    writeFileSync(at('jobs.jsonl'), 'a');
    const taken = await runCli(['batch', at('jobs.jsonl'), '-o', at('file'), '-m', MODEL]);
    expect([taken.code, taken.err]).toEqual([1, expect.stringContaining('ERR_DEEPCACHE_OUTPUT')]);
  });
});

test('lines come one by one, whatever parts they come in', async () => {
  const read = async (parts: readonly (string | Uint8Array)[]) => {
    async function* source() {
      for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part;
    }
    const lines: Line[] = [];
    for await (const line of linesOf(source())) lines.push(line);
    return lines;
  };
  const bytes = Buffer.from('\ufeffeins\r\nzwöl');
  expect(await read([bytes.subarray(0, 13), bytes.subarray(13), 'f\n\n drei '])).toEqual([
    { number: 1, text: 'eins' },
    { number: 2, text: 'zwölf' },
    { number: 4, text: 'drei' },
  ]);
  await expect(read(['x'.repeat(2 ** 21)])).rejects.toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
});
