import { invalidArgument } from '../errors.js';
import type { CompiledRow } from '../schedulers/compiled.js';
import type { Guidance, Program, StepRow, StepTable } from '../schedulers/table.js';
import type { FullCall, PlacedCall, RetrieveCall } from './policy.js';

/**
 * Makes the step table of a run: row i computes what a policy laid out for call i. Rows whose program computes several
 * outputs take the `guidance`, if one is given.
 */
export function attachPrograms(
  rows: readonly CompiledRow[],
  calls: readonly PlacedCall[],
  guidance?: Guidance,
): StepTable {
  if (calls.length !== rows.length) {
    throw invalidArgument('calls', `must be ${rows.length}, one for each row, got ${calls.length}`);
  }
  const programs = new Programs();
  const made = rows.map((row, i) => ({ ...row, ...programs.attach(calls[i] as PlacedCall, guidance) }));
  return { programs: programs.list, rows: made };
}

/** The guidance of a call, for the outputs that it computes. */
function guidanceOf({ halves = 'all' }: FullCall | RetrieveCall, guidance: Guidance | undefined) {
  if (!guidance || halves === 'conditional' || halves === 'unconditional') return {};
  if (halves === 'all') return { guidance };
  const { third: _, ...ofBoth } = guidance;
  return { guidance: ofBoth };
}

class Programs {
  readonly list: Program[] = [{ kind: 'full' }];
  #full = false;

  attach(call: PlacedCall, guidance: Guidance | undefined): Partial<StepRow> {
    switch (call.kind) {
      case 'predict':
        return { predict: call.terms };
      case 'adaptive': {
        const { instead, threshold, maxSkips } = call;
        const { program, ...rest } = this.#run({ kind: 'full' }, guidance);
        const skip = { threshold, maxSkips };
        return instead.kind === 'predict'
          ? { program, ...rest, predict: instead.terms, skip }
          : { program, ...rest, skip: { ...skip, program: this.#place(instead) } };
      }
      default:
        return this.#run(call, guidance);
    }
  }

  #run(call: FullCall | RetrieveCall, guidance: Guidance | undefined) {
    const program = this.#place(call);
    return { program, ...guidanceOf(call, guidance) };
  }

  /** The call's place among the programs, which are listed where they are used. */
  #place(call: FullCall | RetrieveCall): number {
    if (call.kind === 'full') this.#full = true;
    else if (!this.#full)
      throw invalidArgument('calls', 'must begin in full: there is no cached feature yet');
    const same = ({ kind, branch, halves }: Program) =>
      kind === call.kind &&
      branch === (call.kind === 'retrieve' ? call.branch : undefined) &&
      halves === call.halves;
    const found = this.list.findIndex(same);
    return found < 0 ? this.list.push({ ...call }) - 1 : found;
  }
}
