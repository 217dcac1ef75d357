import type { CallKind } from '../../deepcache/index.js';
import type { StepTable } from '../../schedulers/index.js';

/** What a conductor is told of a run before its first U-Net call. */
export interface ConductedRun {
  /** Makes the next call of the runs with these numbers, which share what they can. */
  tick(runs: readonly number[]): void;
  /** What each call computes: 'full', 'predict', or 'retrieve' and the branch. */
  readonly calls: readonly string[];
  /** Samples of a call, the outputs of guidance included. */
  readonly samples: number;
  /** Latent pixels of a sample. */
  readonly pixels: number;
  /** Runs share calls where this is the same. */
  readonly shape: string;
}

/** A run in the hands of a conductor. */
export interface Conducted {
  /** By which ticks name it. */
  readonly number: number;
  /** It waits for its first tick. */
  ready(): void;
  /** A call was made, in so many milliseconds. */
  ran(milliseconds: number): void;
  /** The calls are over, however that came. */
  leave(): void;
}

/** Says which of the runs that go side by side make their next call. */
export interface Conductor {
  enter(run: ConductedRun): Conducted;
  /** The run has got the memory that it needs. */
  holdMemory(): void;
  /** Resolves when another run gives memory back; undefined: no other one holds any. */
  memoryFreed(): Promise<void> | undefined;
}

/** What the calls of a table compute, see {@link ConductedRun}. */
export function callsOf({ rows, programs }: StepTable): string[] {
  return rows.map(({ program }) => {
    const found = program === undefined ? undefined : programs[program];
    if (!found) return 'predict' satisfies CallKind;
    return found.kind === 'full' ? 'full' : `retrieve ${found.branch}`;
  });
}
