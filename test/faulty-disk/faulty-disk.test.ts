import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Report } from './run.js';

// A disk that fails at any read of a file, and files that change at any: an error by the file's name, whatever is
// loaded, and all that was loaded before works on. Needs a C library that is linked at run time, and a compiler.

function hasCompiler(): boolean {
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const canRun = process.platform === 'linux' && hasCompiler();
if (!canRun) console.warn('left out: what a failing disk does is tried on Linux, with a C compiler');

(canRun ? describe : describe.skip)('a file that cannot be read to its end', () => {
  let folder: string;
  let report: Report;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'deepcache-faulty-'));
    const library = join(folder, 'disk.so');
    execFileSync('cc', ['-O1', '-Wall', '-shared', '-fPIC', '-o', library, 'test/faulty-disk/disk.c']);
    const plan = join(folder, 'plan');
    writeFileSync(plan, '');
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', 'test/faulty-disk/run.ts'],
      { env: { ...process.env, LD_PRELOAD: library, FAULTY_DISK: plan } },
    );
    report = JSON.parse(stdout);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const targets = ['folder', 'single', 'checkpoint', 'lora', 'embedding'];
  const kinds = [
    ['eio', /cannot be read: (EIO: )?i\/o error|Input\/output error/i],
    ['end', /was changed while it was being read|truncated/],
    ['cut', /was changed while it was being read|truncated/],
    ['write', /was changed while it was being read/],
  ] as const;
  test.each(targets.flatMap((target) => kinds.map(([kind, message]) => [target, kind, message] as const)))(
    '%s, %s: is an error wherever it happens, and nothing else',
    (target, kind, message) => {
      const outcome = report[target]?.[kind];
      expect(outcome?.faults.length).toBeGreaterThan(1);
      expect(new Set(outcome?.codes)).toEqual(new Set(['ERR_DEEPCACHE_INVALID_WEIGHTS']));
      expect(outcome).toMatchObject({ named: true, kept: true, message: expect.stringMatching(message) });
    },
  );
});
