import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { native } from '../lib/native/binding.js';

test('the addon loads, and is of the version of the package', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  expect(native().version).toBe(version);
});

describe('without a binary that loads', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'deepcache-binding-'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    for (const file of ['errors.ts', 'package-root.ts', 'native/binding.ts']) {
      cpSync(`lib/${file}`, join(folder, 'lib', file));
    }
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
    writeFileSync(
      join(folder, 'main.ts'),
      `import { native } from './lib/native/binding.js';
       try { native(); } catch ({ code, message }) { console.log(JSON.stringify({ code, message })); }`,
    );
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const load = () =>
    JSON.parse(
      execFileSync(process.execPath, ['--import', 'tsx', 'main.ts'], { cwd: folder, encoding: 'utf8' }),
    );

  test('the error says what to do', () => {
    const { code, message } = load();
    expect(code).toBe('ERR_DEEPCACHE_NO_BINARY');
    expect(message).toContain('npm rebuild deepcache');
    expect(message).toContain('No native build was found');
  });

  test('a broken one is reported with the reason of the system', () => {
    mkdirSync(join(folder, 'build/Release'), { recursive: true });
    writeFileSync(join(folder, 'build/Release/deepcache.node'), 'not a library');
    const { code, message } = load();
    expect(code).toBe('ERR_DEEPCACHE_NO_BINARY');
    expect(message).toMatch(/deepcache\.node/);
  });
});
