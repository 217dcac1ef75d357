import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { modelFolder } from '../lib/cli/default-model.js';

const known = ['a red barn under a blue sky'];

test.each([
  [{ prompt: known }, undefined],
  [{ prompt: known, width: 128, height: 128 }, undefined],
  [{ prompt: ['a red xylophone'] }, /ignores what it does not know: xylophone/],
  [{ prompt: known, width: 512 }, /was made for pictures of 128x128/],
  [{ prompt: known, frames: 8 }, /has seen no motion/],
  [{ prompt: ['x'.repeat(10_000)], height: 64, frames: 2 }, /^.{1,300}$/],
])('the demo model warns of what it cannot serve: %#', (use, message) => {
  for (const folder of [undefined, 'models/demo', resolve('models/demo')]) {
    const { note } = modelFolder(folder, use);
    if (message) expect(note).toMatch(message);
    else expect(note).toBeUndefined();
  }
  expect(modelFolder('elsewhere', use)).toEqual({ folder: 'elsewhere' });
});
