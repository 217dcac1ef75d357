import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { entries } from '../../lib/options/spec/index.js';
import { loadTable, longTable, shortTable } from '../../lib/options/table.js';

const tables: [document: string, name: string, table: () => string][] = [
  ['README.md', 'short', shortTable],
  ['docs/options.md', 'long', longTable],
  ['docs/options.md', 'load', loadTable],
];

test.each(tables)('%s has the table "%s" as it is', (document, name, table) => {
  const text = readFileSync(document, 'utf8');
  expect(text).toContain(`<!-- options: ${name} -->\n${table()}\n<!-- end -->`);
});

test('every option is in a table of docs/options.md, and every row has all columns', () => {
  const rows = `${longTable()}\n${loadTable()}`.split('\n');
  for (const [name] of entries) expect(rows.some((row) => row.includes(`\`${name}\``))).toBe(true);
  for (const table of [shortTable(), longTable(), loadTable()]) {
    const columns = table.split('\n').map((row) => row.split(/(?<!\\)\|/).length);
    expect(new Set(columns).size).toBe(1);
  }
});
