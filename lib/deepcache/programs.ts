import { invalidArgument } from '../errors.js';
import type { CompiledRow } from '../schedulers/compiled.js';
import type { Guidance, Program, StepRow, StepTable } from '../schedulers/table.js';

/**
 * Makes the step table of a run: call i runs the whole U-Net if `full[i]`, else the retrieve step of `branch`. The
 * rows take the same `guidance` each, if one is given.
 */
export function attachPrograms(
  rows: readonly CompiledRow[],
  full: readonly boolean[],
  branch: number,
  guidance?: Guidance,
): StepTable {
  if (full.length !== rows.length) {
    throw invalidArgument(
      'full',
      `must have one entry for each of the ${rows.length} calls, got ${full.length}`,
    );
  }
  if (rows.length > 0 && !full[0])
    throw invalidArgument('full[0]', 'must be true: there is no cached feature yet');
  const programs: Program[] = [{ kind: 'full' }];
  if (full.includes(false)) programs.push({ kind: 'retrieve', branch });
  const withProgram = (row: CompiledRow, i: number): StepRow => ({
    ...row,
    program: full[i] ? 0 : 1,
    ...(guidance && { guidance }),
  });
  return { programs, rows: rows.map(withProgram) };
}
