import { invalidArgument } from '../errors.js';
import { allRows, type CompiledRow } from '../schedulers/compiled.js';
import { at } from '../schedulers/guide.js';
import type { Guidance, Halves, PerSample, Program, StepRow, StepTable } from '../schedulers/table.js';
import type { FullCall, PlacedCall, RetrieveCall } from './policy.js';

/** Guidance, and whether the last output is one of degraded latents. */
type OwnGuidance = Guidance & { readonly degrades?: true };

const CONDITIONAL = 'conditional' as const;

/** A row's guidance, and which outputs its program computes where these are not all; a single one needs no guidance. */
export type CallGuidance =
  | (Guidance & { readonly halves?: 'both'; readonly degrades?: true })
  | { readonly halves: 'conditional' | 'unconditional' };

/**
 * Makes the step table of a run: row i computes what a policy laid out for call i, and those behind it follow. Rows whose program computes several
 * outputs take the `guidance`, if one is given: one for all rows, or a list. Where a row of the list has none its program
 * computes the conditional output alone.
 */
export function attachPrograms(
  rows: readonly CompiledRow[],
  calls: readonly PlacedCall[],
  guidance?: Guidance | readonly (CallGuidance | undefined)[],
): StepTable {
  if (calls.length !== rows.length) {
    throw invalidArgument('calls', `must be ${rows.length}, one for each row, got ${calls.length}`);
  }
  const programs = new Programs();
  const made = rows.map((row, i) => {
    const call = calls[i] as PlacedCall;
    if (!Array.isArray(guidance)) return { ...row, ...programs.attach(call, guidance as Guidance) };
    const { halves, ...own }: Partial<OwnGuidance> & { halves?: Halves } = guidance[i] ?? {
      halves: CONDITIONAL,
    };
    const given = own.scale === undefined ? undefined : (own as OwnGuidance);
    return { ...row, ...programs.attach(halves ? limited(call, halves) : call, given) };
  });
  return { programs: programs.list, rows: allRows(made) };
}

/** What a call does of some outputs alone. */
function limited<Call extends PlacedCall>(call: Call, halves: Halves): Call {
  if (call.kind === 'predict') return call;
  if (call.kind === 'adaptive') return { ...call, halves, instead: limited(call.instead, halves) };
  return { ...call, halves: call.halves ?? halves };
}

/** The guidance of a call, for the outputs that it computes. */
function guidanceOf({ halves = 'all' }: FullCall | RetrieveCall, given: OwnGuidance | undefined) {
  if (!given || halves === 'conditional' || halves === 'unconditional') return {};
  const { degrades, ...guidance } = given;
  const { third, ...ofBoth } = guidance;
  if (halves === 'all' || third === undefined) return { guidance };
  // What is not computed counts as the second output, or where latents are degraded as the first one.
  if (degrades) return { guidance: ofBoth };
  return { guidance: { ...ofBoth, scale: plus(guidance.scale, third) } };
}

function plus(a: PerSample, b: PerSample): PerSample {
  if (typeof a !== 'number') return a.map((value, i) => value + at(b, i));
  return typeof b === 'number' ? a + b : b.map((value) => a + value);
}

class Programs {
  readonly list: Program[] = [];
  #full = false;

  attach(call: PlacedCall, guidance: OwnGuidance | undefined): Partial<StepRow> {
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
          : { program, ...rest, skip: { ...skip, program: this.#place(instead, guidance) } };
      }
      default:
        return this.#run(call, guidance);
    }
  }

  #run(call: FullCall | RetrieveCall, guidance: OwnGuidance | undefined) {
    const program = this.#place(call, guidance);
    const gamma = call.kind === 'retrieve' ? call.gamma : undefined;
    return { program, ...(gamma && { featureGamma: gamma }), ...guidanceOf(call, guidance) };
  }

  /** The call's place among the programs, which are listed where they are used. */
  #place(
    call: FullCall | Omit<RetrieveCall, 'gamma' | 'damping'>,
    guidance: OwnGuidance | undefined,
  ): number {
    const degrades = guidance?.degrades && (call.halves ?? 'all') === 'all' ? true : undefined;
    if (call.kind === 'full') this.#full = true;
    else if (!this.#full)
      throw invalidArgument('calls', 'must begin in full: there is no cached feature yet');
    const same = ({ kind, branch, halves, cross, self, degrades: own }: Program) =>
      kind === call.kind &&
      branch === (call.kind === 'retrieve' ? call.branch : undefined) &&
      halves === call.halves &&
      cross === call.cross &&
      self === call.self &&
      own === degrades;
    const found = this.list.findIndex(same);
    if (found >= 0) return found;
    const { kind, halves, cross, self } = call;
    const branch = call.kind === 'retrieve' ? { branch: call.branch } : {};
    const attention = { ...(cross && { cross }), ...(self && { self }) };
    const own = { ...(halves && { halves }), ...attention, ...(degrades && { degrades }) };
    return this.list.push({ kind, ...branch, ...own }) - 1;
  }
}
