import type { LabCall, LabRun } from '../policy.js';
import { interpolate } from '../vectors.js';

/** Settings of what SADA and ZEUS share; shares of the run's calls are those of 50 steps in their programs. */
export type LagrangeSettings = {
  /** Shares of the run between which calls may be skipped. */
  readonly from: number;
  readonly to: number;
  /** From this share on, calls between every `every`-th are skipped; 1: never. */
  readonly lagrangeFrom: number;
  readonly every: number;
  /** How many clean latents are interpolated. */
  readonly terms: number;
  /** So many calls in a row are skipped at most. */
  readonly maxSkips: number;
};

/** What a call that is skipped is made of. */
export type Skip = 'none' | 'step' | 'lagrange';

/** Late in a run the clean latents of skipped calls lie on a polynomial through those of every fourth call. */
export class LagrangePart {
  readonly #start: number;
  readonly #late: number;
  readonly #end: number;
  readonly #places: number[] = [];
  readonly #clean: Float32Array[] = [];
  #skipped = 0;

  constructor(
    private readonly settings: LagrangeSettings,
    { calls }: LabRun,
  ) {
    const { from, to, lagrangeFrom, every } = settings;
    this.#start = Math.max(3, Math.round(from * calls));
    this.#end = Math.round(to * calls);
    this.#late = lagrangeFrom >= 1 ? this.#end : Math.floor((lagrangeFrom * calls) / every) * every;
  }

  /** What the call behind `before` does; `maySkip`: the policy's own mind, for those in the earlier part. */
  decide(before: number, maySkip: () => boolean): Skip {
    const { maxSkips, every, terms } = this.settings;
    const kind = (): Skip => {
      if (this.#skipped >= maxSkips) return 'none';
      if (before >= this.#start && before < Math.min(this.#late, this.#end))
        return maySkip() ? 'step' : 'none';
      const isLate = before >= this.#late && before < this.#end && this.#places.length === terms;
      return isLate && before % every !== 0 ? 'lagrange' : 'none';
    };
    const found = kind();
    this.#skipped = found === 'none' ? 0 : this.#skipped + 1;
    return found;
  }

  /** How many calls in a row were skipped, the last one included. */
  get skipped(): number {
    return this.#skipped;
  }

  interpolated({ index }: LabCall): Float32Array {
    return interpolate(this.#places, this.#clean, index);
  }

  /** Behind every call, whatever it was. */
  keep({ index, toClean }: LabCall, output: Float32Array): void {
    const { every, terms } = this.settings;
    if (index % every !== 1) return;
    this.#places.push(index);
    this.#clean.push(toClean(output));
    if (this.#places.length <= terms) return;
    this.#places.shift();
    this.#clean.shift();
  }
}
