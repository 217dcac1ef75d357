import type { CallKind } from '../../deepcache/index.js';
import type { DenoiseRequest, DenoiseResult } from '../../native/types.js';
import { isCall, type Program, type StepRow, type StepTable } from '../../schedulers/index.js';

/** U-Net calls of a run that computed the same. */
export interface ComputedCalls {
  /** The whole U-Net, or its shallow part. */
  kind: 'full' | 'retrieve';
  /** Of retrieve calls. */
  branch?: number;
  /** Of each picture: 2 or 3 with guidance, 1 without it and where it has ended. */
  outputs: number;
  /** What cross attention adds was taken from an earlier call (T-GATE). */
  cross?: 'kept';
  /** The same of self attention. */
  self?: 'kept';
  /** How many calls. */
  calls: number;
}

export interface RanCall {
  kind: CallKind;
  milliseconds: number;
  /** Of U-Net calls. */
  computed?: Omit<ComputedCalls, 'calls'>;
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

/** The calls of a run of so many outputs a picture, as its loop reports them. */
export function ranCalls(
  { table, outputs = 1 }: Pick<DenoiseRequest, 'table' | 'outputs'>,
  {
    rowMilliseconds,
    rowPrograms,
    rowChanges,
  }: Pick<DenoiseResult, 'rowMilliseconds' | 'rowPrograms' | 'rowChanges'>,
): RanCall[] {
  const calls = Array.from(rowMilliseconds, (milliseconds, row) => {
    const change = rowChanges[row];
    const program = table.programs[rowPrograms[row] ?? -1];
    return {
      kind: kindOf(table, rowPrograms[row]),
      milliseconds,
      ...(program && { computed: computedBy(program, outputs) }),
      ...(change !== undefined && { change }),
    };
  });
  return calls.filter((_, row) => isCall(table.rows[row] as StepRow));
}

function computedBy({ kind, branch, halves = 'all', cross, self }: Program, outputs: number) {
  return {
    kind,
    ...(branch !== undefined && { branch }),
    outputs: halves === 'all' ? outputs : halves === 'both' ? 2 : 1,
    ...(cross === 'kept' && { cross }),
    ...(self === 'kept' && { self }),
  };
}

export const countCalls = (calls: readonly RanCall[], kind: CallKind): number =>
  calls.filter((call) => call.kind === kind).length;
