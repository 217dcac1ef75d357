import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { UI_NAMES } from '../lib/schedulers/aliases.js';
import { Scheduler, schedulerNames } from '../lib/schedulers/index.js';
import { findScheduler } from '../lib/schedulers/registry.js';

const rows = readFileSync(new URL('../docs/schedulers.md', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim()));

test('the table of samplers has every class once', () => {
  const listed = rows.flatMap(([, classes = '']) => classes.match(/\w+Scheduler/g) ?? []);
  expect(listed.sort()).toEqual(schedulerNames().sort());
});

test('and the names of user interfaces beside the class that they mean', () => {
  const names = rows.flatMap(([, classes = '', known = '']) =>
    known ? known.split(', ').map((name) => [classes.replace(/`/g, ''), name] as const) : [],
  );
  for (const [className, name] of names) {
    expect([name, findScheduler(name)?.scheduler.className]).toEqual([name, className]);
  }
  const plain = UI_NAMES.filter((name) => !name.endsWith(' Karras'));
  expect(names.map(([, name]) => name)).toEqual(expect.arrayContaining([...plain]));
});

test('samplers of second order make 2n - 1 calls', () => {
  for (const [, classes = '', , calls] of rows.filter(([, classes]) => !classes?.includes('PNDM'))) {
    const [name] = classes.match(/\w+Scheduler/) as RegExpMatchArray;
    const { rows: made } = Scheduler.fromConfig({ _class_name: name }).compile({ steps: 4 });
    expect([name, made.length]).toEqual([name, calls === '2n - 1' ? 7 : 4]);
  }
});
