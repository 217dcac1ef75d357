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

/** What a run says about itself; `milliseconds` are those of its U-Net calls, `full` says which were full ones. */
export function runStats(
  clock: PhaseClock,
  full: readonly boolean[],
  milliseconds: Float64Array,
  memory: GenerateStats['memory'],
): GenerateStats {
  const secondsOf = (isFull: boolean) =>
    milliseconds.reduce((sum, value, i) => (full[i] === isFull ? sum + value : sum), 0) / 1000;
  const callTimes = { full: secondsOf(true), retrieve: secondsOf(false) };
  const fullSteps = full.filter(Boolean).length;
  return {
    times: clock.times(),
    callTimes,
    calls: full.length,
    fullSteps,
    retrieveSteps: full.length - fullSteps,
    speedup: ((callTimes.full / fullSteps) * full.length) / (callTimes.full + callTimes.retrieve),
    memory,
  };
}
