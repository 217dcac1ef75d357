import { invalidArgument } from '../errors.js';
import type { CompiledRow } from '../schedulers/compiled.js';
import type { Guidance, Program, StepRow, StepTable } from '../schedulers/table.js';
import type { FullCall, PlacedCall, RetrieveCall } from './policy.js';

const CONDITIONAL = 'conditional' as const;

/**
 * Makes the step table of a run: row i computes what a policy laid out for call i. Rows whose program computes several
 * outputs take the `guidance`, if one is given: one for all rows, or a list. Where a row of the list has none its program
 * computes the conditional output alone.
 */
export function attachPrograms(
  rows: readonly CompiledRow[],
  calls: readonly PlacedCall[],
  guidance?: Guidance | readonly (Guidance | undefined)[],
): StepTable {
  if (calls.length !== rows.length) {
    throw invalidArgument('calls', `must be ${rows.length}, one for each row, got ${calls.length}`);
  }
  const programs = new Programs();
  const made = rows.map((row, i) => {
    const call = calls[i] as PlacedCall;
    if (!Array.isArray(guidance)) return { ...row, ...programs.attach(call, guidance as Guidance) };
    const own: Guidance | undefined = guidance[i];
    return { ...row, ...programs.attach(own ? call : conditional(call), own) };
  });
  return { programs: programs.list, rows: made };
}

/** What a call does of the conditional output alone. */
function conditional<Call extends PlacedCall>(call: Call): Call {
  if (call.kind === 'predict') return call;
  if (call.kind === 'adaptive') return { ...call, halves: CONDITIONAL, instead: conditional(call.instead) };
  return { ...call, halves: call.halves ?? CONDITIONAL };
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
        const { program, ...rest } = this.#run(
          { kind: 'full', ...(call.halves && { halves: call.halves }) },
          guidance,
        );
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
    const gamma = call.kind === 'retrieve' ? call.gamma : undefined;
    return { program, ...(gamma && { featureGamma: gamma }), ...guidanceOf(call, guidance) };
  }

  /** The call's place among the programs, which are listed where they are used. */
  #place(call: FullCall | Omit<RetrieveCall, 'gamma' | 'damping'>): number {
    if (call.kind === 'full') this.#full = true;
    else if (!this.#full)
      throw invalidArgument('calls', 'must begin in full: there is no cached feature yet');
    const same = ({ kind, branch, halves }: Program) =>
      kind === call.kind &&
      branch === (call.kind === 'retrieve' ? call.branch : undefined) &&
      halves === call.halves;
    const found = this.list.findIndex(same);
    if (found >= 0) return found;
    const { kind, halves } = call;
    const branch = call.kind === 'retrieve' ? { branch: call.branch } : {};
    return this.list.push({ kind, ...branch, ...(halves && { halves }) }) - 1;
  }
}
