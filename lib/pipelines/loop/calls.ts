import type { CallKind } from '../../deepcache/index.js';
import type { DenoiseResult } from '../../native/types.js';
import { isCall, type StepRow, type StepTable } from '../../schedulers/index.js';

export interface RanCall {
  kind: CallKind;
  milliseconds: number;
  /** Where it was decided during the run, how much the U-Net's input had changed (StepRow.skip). */
  change?: number;
}

/** What running a program of the table is; undefined stands for a prediction. */
export function kindOf({ programs }: StepTable, program: number | undefined): CallKind {
  return program === undefined ? 'predict' : (programs[program]?.kind ?? 'full');
}

/** Of each row its call, from 0; undefined for one that stands for none. */
export function callNumbers({ rows }: StepTable): (number | undefined)[] {
  let calls = 0;
  return rows.map((row) => (isCall(row) ? calls++ : undefined));
}

/** The calls of a run as its loop reports them. */
export function ranCalls(
  table: StepTable,
  {
    rowMilliseconds,
    rowPrograms,
    rowChanges,
  }: Pick<DenoiseResult, 'rowMilliseconds' | 'rowPrograms' | 'rowChanges'>,
): RanCall[] {
  const calls = Array.from(rowMilliseconds, (milliseconds, row) => {
    const change = rowChanges[row];
    return {
      kind: kindOf(table, rowPrograms[row]),
      milliseconds,
      ...(change !== undefined && { change }),
    };
  });
  return calls.filter((_, row) => isCall(table.rows[row] as StepRow));
}

export const countCalls = (calls: readonly RanCall[], kind: CallKind): number =>
  calls.filter((call) => call.kind === kind).length;
