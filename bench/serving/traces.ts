import type { PlannedJob } from '../../lib/server/engine/schedule/planned-job.js';

/** Requests as they come: what each asks for, and when in milliseconds. */
export type Trace = readonly PlannedJob[];

/** What requests ask for. */
export interface Mix {
  readonly name: string;
  /** One of them, by numbers from 0 to 1. */
  draw(random: () => number): Ask;
}

export interface Ask {
  readonly steps: number;
  /** A full call every so many. */
  readonly interval: number;
  /** Latent pixels. */
  readonly pixels: number;
}

/** Uniform numbers from 0 to 1 (mulberry32, by Tommy Ettinger): the same trace for each policy. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Of a list of things and how often each comes. */
function pick<T>(random: () => number, ...choices: readonly (readonly [number, T])[]): T {
  let left = random() * choices.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, choice] of choices) {
    left -= weight;
    if (left < 0) return choice;
  }
  return (choices.at(-1) as readonly [number, T])[1];
}

/** All requests ask for the same. */
export const same = (ask: Ask): Mix => ({
  name: `${ask.steps} steps, interval ${ask.interval}`,
  draw: () => ask,
});

/** Short and long ones, with and without a cache, a fifth of them larger. */
export const mixed = (pixels: number): Mix => ({
  name: 'mixed steps, caches and sizes',
  draw: (random) => ({
    steps: pick(random, [3, 10], [4, 25], [3, 50]),
    interval: pick(random, [1, 1], [3, 3], [1, 5]),
    pixels: pick(random, [4, pixels], [1, 2.25 * pixels]),
  }),
});

/** When requests come: at random, or many at once. */
export type Arrivals = 'poisson' | 'bursts';

/** Requests of a burst, which come within a tenth of a lone job's time. */
const BURST = 8;

/**
 * So many requests.
 *
 * @param every milliseconds from one to the next, on average.
 */
export function makeTrace(mix: Mix, arrivals: Arrivals, count: number, every: number, seed: number): Trace {
  const random = randomFrom(seed);
  const wait = (mean: number) => -mean * Math.log(1 - random());
  const jobs: PlannedJob[] = [];
  let now = 0;
  while (jobs.length < count) {
    const many = arrivals === 'bursts' ? BURST : 1;
    now += wait(every * many);
    for (let i = 0; i < many && jobs.length < count; i++) {
      const queued = now + (i * every) / BURST / 10;
      jobs.push(toJob(mix.draw(random), `${jobs.length}`, queued));
    }
  }
  return jobs.sort((a, b) => a.queued - b.queued);
}

/** With guidance: two samples. */
export function toJob({ steps, interval, pixels }: Ask, id: string, queued: number): PlannedJob {
  const calls = Array.from({ length: steps }, (_, i) => (i % interval === 0 ? 'full' : 'retrieve 0'));
  return { id, model: 'm', priority: 0, queued, samples: 2, pixels, shape: `${pixels}`, calls };
}
