import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { composeTables } from './table.js';

// Everything with everything, see docs/composition.md.

test('what goes together is what the documentation says, and nothing is silently wrong', async () => {
  const { markdown, faults } = await composeTables();
  expect(faults).toEqual([]);
  // Otherwise: npm run docs:composition, and a look at what changed.
  expect(readFileSync('docs/composition.md', 'utf8')).toContain(markdown);
}, 900_000);
