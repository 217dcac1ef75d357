import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { DiffusionPipeline } from '../../lib/index.js';
import { meantFolder } from '../../lib/models/demo-model.js';

test("'demo' is the model of the package, from code", async () => {
  const pipe = await DiffusionPipeline.fromPretrained('demo', { device: 'cpu' });
  expect(pipe.defaults.steps).toBeGreaterThan(0);
  await pipe.dispose();
});

test('unless there is a folder of this name', () => {
  expect(meantFolder('demo')).toBe(resolve('models/demo'));
  expect(meantFolder('./demo')).toBe('./demo');
  const before = process.cwd();
  const folder = mkdtempSync(join(tmpdir(), 'deepcache-demo-'));
  try {
    mkdirSync(join(folder, 'demo'));
    process.chdir(folder);
    expect(existsSync('demo')).toBe(true);
    expect(meantFolder('demo')).toBe('demo');
  } finally {
    process.chdir(before);
    rmSync(folder, { recursive: true });
  }
});
