import type { CompiledRow } from './compiled.js';
import { type HistorySlot, TABLE_LIMITS, type Term } from './table.js';

/**
 * History slots that a sampler leaves to others: no assignment of its rows names them, in the order of their numbers.
 *
 * @param others sums besides that may read slots.
 */
export function freeSlots(
  rows: readonly Pick<CompiledRow, 'assign' | 'after'>[],
  others: readonly Term[] = [],
): HistorySlot[] {
  const used = new Set<string>(others.map(({ slot }) => slot));
  for (const { assign, after = [] } of rows)
    for (const { to, terms } of [assign, ...after.map((row) => row.assign)].flat())
      for (const name of [to, ...terms.map(({ slot }) => slot)]) used.add(name);
  return TABLE_LIMITS.slots.filter((name): name is HistorySlot => /^s\d$/.test(name) && !used.has(name));
}
