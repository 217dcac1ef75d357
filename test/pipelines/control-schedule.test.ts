import { describe, expect, test } from '@jest/globals';
import { withControl } from '../../lib/control/schedule.js';
import type { StepRow, StepTable } from '../../lib/schedulers/table.js';

const row = (program: number): StepRow => ({
  program,
  timestep: 1,
  inputScale: 1,
  x0: { x: 1, m: 1 },
  assign: [],
});

const table = (...rows: number[]): StepTable => ({
  programs: [{ kind: 'full' }, { kind: 'retrieve', branch: 2 }],
  rows: rows.map(row),
});

/** Of each row which networks run. */
const ran = ({ programs, rows }: StepTable) =>
  rows.map(({ program }) => programs[program as number]?.networks ?? []);

const whole = { scale: 1, start: 0, end: 1 };

describe('ControlNets in a step table', () => {
  test('hold runs them in full calls, with the scale of these between', () => {
    const window = { scale: 0.5, start: 0, end: 0.5 };
    const made = withControl(table(0, 1, 1, 0, 1, 1), [whole, window], 'hold');
    expect(ran(made.table)).toEqual([[0, 1], [], [], [0], [], []]);
    expect(made.scales).toEqual([
      [1, 1, 1, 1, 1, 1],
      [0.5, 0.5, 0.5, 0, 0, 0],
    ]);
  });

  test('live runs them in all calls within their windows', () => {
    const window = { scale: 0.5, start: 0.3, end: 0.7 };
    const made = withControl(table(0, 1, 0, 1), [whole, window], 'live');
    expect(ran(made.table)).toEqual([[0], [0], [0], [0]]);
    const half = withControl(table(0, 1, 0, 1), [{ scale: 2, start: 0.25, end: 0.75 }], 'live');
    expect(ran(half.table)).toEqual([[], [0], [0], []]);
    expect(half.scales).toEqual([[0, 2, 2, 0]]);
  });

  test('a run that decides itself which calls are full holds what the last one gave', () => {
    const { programs, rows } = table(0, 0, 0);
    const adaptive = rows.map((one, i) =>
      i === 0 ? one : { ...one, skip: { threshold: 0.1, maxSkips: 2, program: 1 } },
    );
    const window = { scale: 1, start: 0.3, end: 1 };
    const made = withControl({ programs, rows: adaptive }, [window], 'hold');
    expect(ran(made.table)).toEqual([[0], [0], [0]]);
    expect(made.scales).toEqual([[0, 1, 1]]);
    expect(made.table.programs[made.table.rows[1]?.skip?.program as number]).toEqual({
      kind: 'retrieve',
      branch: 2,
    });
  });
});
