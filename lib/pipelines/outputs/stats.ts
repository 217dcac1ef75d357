import type { CallKind } from '../../deepcache/index.js';
import { type ComputedCalls, countCalls, type RanCall } from '../loop/calls.js';
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

/** What a run says about itself. */
export function runStats(
  clock: PhaseClock,
  calls: readonly RanCall[],
  memory: GenerateStats['memory'],
): Omit<GenerateStats, 'plansMade'> {
  const secondsOf = (kind: CallKind) =>
    calls.reduce((sum, call) => (call.kind === kind ? sum + call.milliseconds : sum), 0) / 1000;
  const callTimes = {
    full: secondsOf('full'),
    retrieve: secondsOf('retrieve'),
    predict: secondsOf('predict'),
  };
  const fullCalls = countCalls(calls, 'full');
  const seconds = callTimes.full + callTimes.retrieve + callTimes.predict;
  return {
    times: clock.times(),
    callTimes,
    calls: calls.length,
    fullCalls,
    retrieveCalls: countCalls(calls, 'retrieve'),
    predictedCalls: countCalls(calls, 'predict'),
    computed: sameTogether(calls.flatMap(({ computed }) => (computed ? [{ ...computed, calls: 1 }] : []))),
    speedup: ((callTimes.full / fullCalls) * calls.length) / seconds,
    memory,
  };
}

function sameTogether(all: readonly ComputedCalls[]): ComputedCalls[] {
  const found = new Map<string, ComputedCalls>();
  for (const { calls, ...what } of all) {
    const key = JSON.stringify(what);
    found.set(key, { ...what, calls: calls + (found.get(key)?.calls ?? 0) });
  }
  return [...found.values()];
}

/** What two runs say that made a picture one after the other, on models of which both stay loaded. */
export function addStats(a: GenerateStats, b: GenerateStats): GenerateStats {
  const add = <T extends object>(x: T, y: T) =>
    Object.fromEntries(
      Object.entries(x).map(([key, value]) => [key, (value as number) + Number(y[key as keyof T])]),
    ) as T;
  const denoising = (calls: (stats: GenerateStats) => number) => calls(a) + calls(b);
  // A run's time with every call in full, by its own full calls.
  const seconds = ({ callTimes: { full, retrieve, predict } }: GenerateStats) => full + retrieve + predict;
  return {
    times: add(a.times, b.times),
    callTimes: add(a.callTimes, b.callTimes),
    calls: a.calls + b.calls,
    fullCalls: a.fullCalls + b.fullCalls,
    retrieveCalls: a.retrieveCalls + b.retrieveCalls,
    predictedCalls: a.predictedCalls + b.predictedCalls,
    computed: sameTogether([...a.computed, ...b.computed]),
    plansMade: a.plansMade + b.plansMade,
    speedup: denoising((stats) => stats.speedup * seconds(stats)) / denoising(seconds),
    memory: add(a.memory, b.memory),
  };
}
