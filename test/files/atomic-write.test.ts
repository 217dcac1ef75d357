import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { replaceFile, writeFileAtomic } from '../../lib/files/atomic-write.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-'));
  path = join(folder, 'picture.png');
});
afterEach(() => rmSync(folder, { recursive: true }));

test('writes a new file and replaces an old one, which keeps its rights', async () => {
  await writeFileAtomic(path, 'one');
  chmodSync(path, 0o640);
  await writeFileAtomic(path, Buffer.from('two'));
  expect(readFileSync(path, 'utf8')).toBe('two');
  expect(statSync(path).mode & 0o777).toBe(0o640);
  expect(readdirSync(folder)).toEqual(['picture.png']);
});

test('what fails half way leaves the old file, and nothing beside it', async () => {
  writeFileSync(path, 'good');
  const failing = replaceFile(path, async (part) => {
    expect(part).toMatch(/\.png$/);
    await writeFile(part, 'ha');
    throw new Error(`no space for ${part}`);
  });
  await expect(failing).rejects.toThrow(`no space for ${path}`);
  expect(readFileSync(path, 'utf8')).toBe('good');
  expect(readdirSync(folder)).toEqual(['picture.png']);
});

test('without overwrite an existing file is left alone', async () => {
  await writeFileAtomic(path, 'one', { overwrite: false });
  await expect(writeFileAtomic(path, 'two', { overwrite: false })).rejects.toMatchObject({ code: 'EEXIST' });
  expect(readFileSync(path, 'utf8')).toBe('one');
  expect(readdirSync(folder)).toEqual(['picture.png']);
});

test('a link is replaced, not what it stands for', async () => {
  const other = join(folder, 'other');
  writeFileSync(other, 'theirs');
  symlinkSync(other, path);
  await writeFileAtomic(path, 'ours');
  expect(lstatSync(path).isSymbolicLink()).toBe(false);
  expect([readFileSync(path, 'utf8'), readFileSync(other, 'utf8')]).toEqual(['ours', 'theirs']);
});

test('devices, folders, long names and folders that are not there', async () => {
  await writeFileAtomic('/dev/null', 'nothing');
  expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  await expect(writeFileAtomic(folder, 'x')).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST|EPERM/);
  await expect(writeFileAtomic(join(folder, 'no', 'x.png'), 'x')).rejects.toThrow(/ENOENT.*x\.png/);
  const long = join(folder, `${'n'.repeat(250)}.png`);
  await writeFileAtomic(long, 'x');
  await expect(writeFileAtomic(join(folder, 'n'.repeat(256)), 'x')).rejects.toThrow(/ENAMETOOLONG/);
  expect(readdirSync(folder)).toHaveLength(1);
});
