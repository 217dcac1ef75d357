import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { contextOver } from '../lib/cli/context.js';
import { StatusLine } from '../lib/cli/status-line.js';
import { SafetensorsWriter } from '../weights-tools/safetensors-writer.js';
import { runCli } from './cli-run.js';

const MODEL = 'test/fixtures/sd15-tiny';
const EVIL = '\x1b]0;title\x07\x1b[2J\r\nno problems found\x9b31m\u202e\u200b';
/** Anything that a terminal obeys, besides line feeds. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: what must not come out
const OBEYED = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e]/;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-terminal-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function model(name: string, file: string, change: (value: Record<string, unknown>) => void): string {
  const copy = join(folder, name);
  cpSync(MODEL, copy, { recursive: true });
  const path = join(copy, file);
  const value = file === 'generation_config.json' ? {} : JSON.parse(readFileSync(path, 'utf8'));
  change(value);
  writeFileSync(path, JSON.stringify(value));
  return copy;
}

function expectHarmless({ out, err }: { out: string; err: string }): void {
  expect(out).not.toMatch(OBEYED);
  expect(err).not.toMatch(OBEYED);
  expect(`${out}${err}`).toContain('\\u001b');
  // Not as a line of its own either.
  expect(`${out}${err}`).not.toMatch(/^no problems found./m);
}

describe('what a model says does not reach the terminal as it is', () => {
  test.each([
    ['a component', 'model_index.json', { [`vae${EVIL}`]: ['diffusers', `Foo${EVIL}`] }],
    ['the class of a component', 'model_index.json', { vae: ['diffusers', `Foo${EVIL}`] }],
    ["the pipeline's class", 'model_index.json', { _class_name: `Nope${EVIL}` }],
    ['a field of generation_config.json', 'generation_config.json', { [`k${EVIL}`]: 1 }],
    ["the scheduler's class", 'scheduler/scheduler_config.json', { _class_name: `Nope${EVIL}` }],
  ])('%s', async (name, file, fields) => {
    const path = model(name, file, (value) => Object.assign(value, fields));
    const inspected = await runCli(['inspect', path]);
    expectHarmless(inspected);
    // Folders of other classes are tried all the same.
    if (!('_class_name' in fields) || file !== 'model_index.json') expect(inspected.code).toBe(1);
    const json = await runCli(['inspect', path, '--json']);
    expect(json.out).not.toMatch(OBEYED);
    if (name.startsWith('a component')) return;
    const made = await runCli([
      'generate',
      '-m',
      path,
      '-p',
      'x',
      '--steps',
      '1',
      '-o',
      join(folder, 'x.png'),
    ]);
    for (const text of [made.out, made.err]) expect(text).not.toMatch(OBEYED);
  });

  test('names of tensors and metadata', async () => {
    const path = join(folder, 'evil.safetensors');
    const tensor = { name: `x${EVIL}`, dtype: 'F32' as const, shape: [1], bytes: 4 };
    const writer = await SafetensorsWriter.create(path, [tensor], { [`key${EVIL}`]: EVIL });
    await writer.write(new Uint8Array(4));
    await writer.finish();
    expectHarmless(await runCli(['inspect', path]));
    const { out } = await runCli(['inspect', path, '--json']);
    expect(out).not.toMatch(OBEYED);
    // Exact all the same.
    expect(JSON.parse(out)).toMatchObject({
      metadata: { [`key${EVIL}`]: EVIL },
      tensors: [{ name: `x${EVIL}` }],
    });
  });

  test('names of folders, also on the line of progress', async () => {
    const path = join(folder, `m${EVIL.replaceAll('/', '')}`);
    cpSync(MODEL, path, { recursive: true });
    expectHarmless(await runCli(['inspect', path]));
    const args = ['generate', '-m', path, '-p', 'x', '--steps', '1', '-o', join(folder, 'y.png')];
    const { err } = await runCli(args, { columns: 200 });
    // What is ours: \r, \x1b[K and nothing else.
    expect(err.replaceAll('\r', '').replaceAll('\x1b[K', '')).not.toMatch(OBEYED);
    expect(err).toContain('\\u001b]0;title');
  });

  test('a component outside of the folder', async () => {
    const path = model('outside', 'model_index.json', (value) => {
      value['../outside/unet'] = ['diffusers', 'UNet2DConditionModel'];
      value['..'] = ['diffusers', 'AutoencoderKL'];
    });
    const { out } = await runCli(['inspect', path]);
    expect(out).toContain('names a component "../outside/unet", which is not the name of a folder');
    expect(out).toContain('names a component "..", which is not the name of a folder');
    expect(out.match(/^unet /gm)).toHaveLength(1);
  });

  test('a field that objects have by nature is a field like any other', async () => {
    const path = model('natural', 'generation_config.json', (value) => {
      Object.assign(value, { toString: 1, constructor: 2 });
    });
    const { out } = await runCli(['inspect', path]);
    expect(out).toMatch(/toString is ignored; known are/);
    expect(out).toMatch(/constructor is ignored/);
  });
});

describe('progress without a terminal', () => {
  function lineWith(linePause: number, isEnabled = true) {
    const texts: string[] = [];
    const sink = {
      stdout: () => {},
      stderr: (text: string) => void texts.push(text),
      columns: () => 0,
      isTerminal: false,
      async *stdin() {},
      linePause,
    };
    return { texts, line: new StatusLine(contextOver(sink, new AbortController().signal), isEnabled) };
  }

  test('is a line now and then', () => {
    const { texts, line } = lineWith(0);
    line.show(' 3/50  step\x1b[2J');
    line.clear();
    expect(texts).toEqual(['deepcache: 3/50  step\\u001b[2J\n']);
  });

  test('is nothing in a short time, and nothing where it should be quiet', () => {
    for (const { texts, line } of [lineWith(1e9), lineWith(0, false)]) {
      line.show('text');
      expect(texts).toEqual([]);
    }
  });
});
