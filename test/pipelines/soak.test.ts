import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

// The short version of bench/soak.ts. In a process of its own: Jest's memory grows by itself.

test('40 runs with aborts, errors and terminated threads: no leak, no crash, always the same bits', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--import',
    'tsx',
    'bench/soak.ts',
    '40',
    '3',
  ]);
  const { runs, counts, growthMiB, allowedMiB } = JSON.parse(stdout);
  expect(runs).toBe(40);
  for (const action of ['complete', 'abort', 'worker', 'anotherModel', 'throwInCall']) {
    expect(counts[action]).toBeGreaterThan(0);
  }
  expect(growthMiB).toBeLessThanOrEqual(allowedMiB);
});
