import { randomFrom } from '../../bench/serving/traces.js';
import type { EngineJob } from '../../lib/server/engine/engine-job.js';
import { ImageEngine, type Job, type JobRequest } from '../../lib/server/engine/index.js';
import { FOLDER, loadTiny, numbersOf, sameBits } from '../pipelines/tiny.js';

/** What came of many jobs of which some were cancelled. */
export interface CancelReport {
  readonly jobs: number;
  /** Cancelled while they waited, and while they ran. */
  readonly waiting: number;
  readonly running: number;
  /** Cancelled too late: they had ended. */
  readonly late: number;
  readonly finished: number;
  /** Finished with other values than alone, or ended otherwise than they should. */
  readonly wrong: readonly string[];
  /** The most steps that a job told of after it was cancelled: its call was under way. */
  readonly stepsAfter: number;
  /** Milliseconds from cancel() to the end of a running job: the median and the longest. */
  readonly millisecondsToEnd: { readonly median: number; readonly longest: number };
  /** Jobs with a place when all was over. */
  readonly left: number;
}

/** What jobs ask for: they differ in all that runs of one engine may. */
const ASKS: readonly Readonly<Record<string, unknown>>[] = [
  { steps: 20, cache: { interval: 3 } },
  { steps: 12, scheduler: 'DPMSolverMultistepScheduler', cache: { interval: 2, branch: 1 } },
  { steps: 30, guidanceScale: 1 },
  { steps: 15, width: 128, cache: { interval: 5 } },
  { steps: 8, scheduler: 'EulerAncestralDiscreteScheduler', numImages: 2 },
  { steps: 25, cache: 'fast' },
];

/** Submits so many jobs, a few at a time, and cancels every second one at some moment. */
export async function randomCancels(count: number, seed: number): Promise<CancelReport> {
  const requests = ASKS.map((options, i): JobRequest => {
    const own = { prompt: `number ${i}`, seed: i, output: 'latent', ...options };
    return { model: 'tiny', task: 'text-to-image', options: own };
  });
  await using pipe = await loadTiny();
  const alone: Float32Array[] = [];
  for (const { options } of requests) alone.push(numbersOf(await pipe.generate(options as never)));
  const random = randomFrom(seed);
  const engine = new ImageEngine({
    models: { tiny: { model: FOLDER, device: 'cpu' } },
    ...{ maxRunning: 8, maxQueued: count, log: () => {} },
  });
  const counts = { waiting: 0, running: 0, late: 0, finished: 0, stepsAfter: 0 };
  const wrong: string[] = [];
  const ends: number[] = [];

  const follow = async (job: Job, kind: number, cancels: boolean) => {
    const made = () => (job as EngineJob).calls;
    let cancelled: { state: string; time: number; calls: number } | undefined;
    const cancel = () => {
      cancelled = { state: job.state, time: performance.now(), calls: made() };
      job.cancel();
    };
    // Now, or after some of its steps.
    let steps = cancels ? Math.floor(random() * 12) : Number.POSITIVE_INFINITY;
    if (steps === 0) cancel();
    for await (const { type } of job.events()) if (type === 'step' && --steps === 0) cancel();
    if (cancelled) counts.stepsAfter = Math.max(counts.stepsAfter, made() - cancelled.calls);
    const result = await job.result.catch((error) => error);
    if (job.state === 'cancelled' && cancelled) {
      if (cancelled.state === 'running') ends.push(performance.now() - cancelled.time);
      counts[cancelled.state === 'queued' ? 'waiting' : 'running']++;
    } else if (job.state === 'done' && sameBits(numbersOf(result), alone[kind] as Float32Array)) {
      if (cancelled) counts.late++;
      else counts.finished++;
    } else {
      wrong.push(`job ${kind} is ${job.state}: ${result}`);
    }
  };

  const followed: Promise<void>[] = [];
  for (let i = 0; i < count; i++) {
    const kind = Math.floor(random() * ASKS.length);
    const job = await engine.submit(requests[kind] as JobRequest);
    followed.push(follow(job, kind, i % 2 === 0));
    // Sixteen are here at once.
    while (engine.stats().queued + engine.stats().running >= 16)
      await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(followed);
  await new Promise(setImmediate);
  const { running: left } = engine.stats();
  await engine.close();
  ends.sort((a, b) => a - b);
  const millisecondsToEnd = { median: ends[ends.length >> 1] ?? 0, longest: ends.at(-1) ?? 0 };
  return { jobs: count, ...counts, wrong, millisecondsToEnd, left };
}
