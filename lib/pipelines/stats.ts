import type { GenerateStats } from './result.js';

type Phase = Exclude<keyof GenerateStats['times'], 'total'>;

/** Seconds of the phases of a run. */
export class PhaseClock {
  readonly #start = performance.now();
  #last = this.#start;
  readonly #times: Record<Phase, number> = { encode: 0, prepare: 0, denoise: 0, decode: 0 };

  /** Ends a phase. */
  lap(phase: Phase): void {
    const now = performance.now();
    this.#times[phase] = (now - this.#last) / 1000;
    this.#last = now;
  }

  times(): GenerateStats['times'] {
    return { ...this.#times, total: (this.#last - this.#start) / 1000 };
  }
}
