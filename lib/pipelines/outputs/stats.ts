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
  const fullCalls = full.filter(Boolean).length;
  return {
    times: clock.times(),
    callTimes,
    calls: full.length,
    fullCalls,
    retrieveCalls: full.length - fullCalls,
    speedup: ((callTimes.full / fullCalls) * full.length) / (callTimes.full + callTimes.retrieve),
    memory,
  };
}

/** What two runs say that made a picture one after the other, on models of which both stay loaded. */
export function addStats(a: GenerateStats, b: GenerateStats): GenerateStats {
  const add = <T extends object>(x: T, y: T) =>
    Object.fromEntries(
      Object.entries(x).map(([key, value]) => [key, (value as number) + Number(y[key as keyof T])]),
    ) as T;
  const denoising = (calls: (stats: GenerateStats) => number) => calls(a) + calls(b);
  // A run's time with every call in full, by its own full calls.
  const seconds = ({ callTimes: { full, retrieve } }: GenerateStats) => full + retrieve;
  return {
    times: add(a.times, b.times),
    callTimes: add(a.callTimes, b.callTimes),
    calls: a.calls + b.calls,
    fullCalls: a.fullCalls + b.fullCalls,
    retrieveCalls: a.retrieveCalls + b.retrieveCalls,
    speedup: denoising((stats) => stats.speedup * seconds(stats)) / denoising(seconds),
    memory: add(a.memory, b.memory),
  };
}
