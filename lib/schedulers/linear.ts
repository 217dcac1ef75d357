import type { Assignment, Slot } from './table.js';

/** A sum of slots: the coefficient of each slot it contains. */
export type Linear = Partial<Record<Slot, number>>;

/** The sum of `factor * linear` over all pairs. */
export function combine(...parts: readonly (readonly [factor: number, linear: Linear])[]): Linear {
  const sum: Linear = {};
  for (const [factor, linear] of parts) {
    for (const [slot, coefficient] of Object.entries(linear) as [Slot, number][]) {
      sum[slot] = (sum[slot] ?? 0) + factor * coefficient;
    }
  }
  return sum;
}

/** One slot as a sum. */
export function slot(name: Slot): Linear {
  return { [name]: 1 };
}

/** The assignment `to <- linear`, without the slots that cancel out. */
export function assign(to: Assignment['to'], linear: Linear): Assignment {
  const terms = (Object.entries(linear) as [Slot, number][])
    .filter(([, coefficient]) => coefficient !== 0)
    .map(([name, coefficient]) => ({ slot: name, coefficient }));
  return { to, terms };
}

/** `values` in a ring of history slots s0, s1, ...: the slot that call `call` writes. */
export function ring(call: number, size: number, first = 0): Assignment['to'] {
  return `s${first + (call % size)}` as Assignment['to'];
}
