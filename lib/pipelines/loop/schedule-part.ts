import type { CompiledRow, CompiledSchedule } from '../../schedulers/index.js';

/** Calls `from` up to `to` of a schedule, as a run of its own: its steps count from 1. */
export function partOf(compiled: CompiledSchedule, from: number, to: number): CompiledSchedule {
  return {
    ...compiled,
    rows: compiled.rows.slice(from, to),
    steps: compiled.steps.slice(0, to - from),
    timesteps: compiled.timesteps.slice(from, to),
    noiseLevels: compiled.noiseLevels.slice(from),
    // One more than calls: inpainting blends with the level of the call that would come next.
    addNoiseLevels: compiled.addNoiseLevels.slice(from),
  };
}

/**
 * Rows that name their draws by the place among those that are used: the others are drawn and left out.
 *
 * @param used for every draw of the schedule, whether a row uses it.
 * @param first the schedule's first draw that the run makes.
 */
export function withUsedDraws(
  rows: readonly CompiledRow[],
  used: readonly boolean[],
  first = 0,
): CompiledRow[] {
  let count = 0;
  const places = used.map((isUsed) => (isUsed ? count++ : count));
  const place = (draw: number) => (places[draw] as number) - (places[first] as number);
  const placed = (row: CompiledRow): CompiledRow => ({
    ...row,
    ...(typeof row.noise === 'number' && { noise: place(row.noise) }),
    ...(row.after && { after: row.after.map(placed) }),
  });
  return rows.map(placed);
}
