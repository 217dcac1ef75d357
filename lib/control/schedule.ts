import { isCall, type Program, type StepRow, type StepTable } from '../schedulers/table.js';

/** How much a ControlNet counts, and between which shares of a run's calls. */
export interface ControlWindow {
  readonly scale: number;
  readonly start: number;
  readonly end: number;
}

/**
 * A step table whose programs say which ControlNets run with them, and each one's scale at each call.
 *
 * Call i of n counts within a window when i / n >= start and (i + 1) / n <= end, as in diffusers. Held outputs keep the
 * scale of the full call that made them; where a run itself decides which calls are full they take that of their row,
 * and the networks run in all full calls.
 */
export function withControl(
  table: StepTable,
  windows: readonly ControlWindow[],
  cache: 'hold' | 'live',
): { table: StepTable; scales: number[][] } {
  const count = table.rows.filter(isCall).length;
  const decides = table.rows.some(({ skip }) => skip !== undefined);
  const programs: Program[] = [];
  const place = (index: number, networks: readonly number[]): number => {
    const program = { ...(table.programs[index] as Program), ...(networks.length > 0 && { networks }) };
    const key = JSON.stringify(program);
    const found = programs.findIndex((known) => JSON.stringify(known) === key);
    return found < 0 ? programs.push(program) - 1 : found;
  };
  let held = windows.map(() => 0);
  const scales = windows.map((): number[] => []);
  let i = -1;
  const rows = table.rows.map((row): StepRow => {
    if (!isCall(row)) return row;
    i++;
    const own = windows.map(({ scale, start, end }) =>
      i / count >= start && (i + 1) / count <= end ? scale : 0,
    );
    const counting = own.flatMap((scale, k) => (scale === 0 ? [] : [k]));
    const isFull = row.program !== undefined && table.programs[row.program]?.kind === 'full';
    if (isFull) held = own;
    const now = isFull || cache === 'live' || decides ? own : held;
    for (const [k, scale] of now.entries()) scales[k]?.push(scale);
    const all = decides ? windows.map((_, k) => k) : counting;
    const between = cache === 'live' ? counting : [];
    return {
      ...row,
      ...(row.program !== undefined && { program: place(row.program, isFull ? all : between) }),
      ...(row.skip?.program !== undefined && {
        skip: { ...row.skip, program: place(row.skip.program, between) },
      }),
    };
  });
  return { table: { programs, rows }, scales };
}
