import { Costs } from '../../lib/server/engine/schedule/costs.js';
import type { PlannedJob } from '../../lib/server/engine/schedule/planned-job.js';
import { type Policy, Scheduler } from '../../lib/server/engine/schedule/scheduler.js';
import { type Device, passTime } from './device.js';
import type { Trace } from './traces.js';

/** What came of a trace. */
export interface Outcome {
  /** Of each job, in the order of the trace: milliseconds from its coming to its end. */
  readonly latencies: readonly number[];
  /** Milliseconds from the first job's coming to the last one's end. */
  readonly makespan: number;
  readonly passes: number;
  /** Samples of an average pass of full calls. */
  readonly fullSamples: number;
}

/** The time that a job takes alone. */
export function loneTime(device: Device, { calls, samples, pixels }: PlannedJob): number {
  const passes = calls.reduce((sum, call) => sum + passTime(device, call, samples, pixels), 0);
  return passes + around(device, 'encode', pixels) + around(device, 'decode', pixels);
}

/**
 * Plays a trace through the engine's own scheduler, which learns what passes cost as it does there. The device does one
 * thing at a time; texts and pictures go before passes.
 */
export function simulate(device: Device, trace: Trace, policy: Policy, places = 16): Outcome {
  const scheduler = new Scheduler<PlannedJob>(new Costs(), { policy, places });
  const latencies = new Map<string, number>();
  const tasks: { milliseconds: number; done(): void }[] = [];
  const calls = new Map<string, number>();
  let [now, arrived, passes, fulls, fullSamples] = [0, 0, 0, 0, 0];
  const begin = () => {
    for (const job of scheduler.begin(now)) {
      calls.set(job.id, job.calls.length);
      const milliseconds = around(device, 'encode', job.pixels);
      tasks.push({ milliseconds, done: () => scheduler.enter(job) });
    }
  };
  const decode = (job: PlannedJob) => {
    scheduler.leave(job.id);
    tasks.push({
      milliseconds: around(device, 'decode', job.pixels),
      done() {
        scheduler.end(job.id);
        latencies.set(job.id, now - job.queued);
      },
    });
  };
  while (latencies.size < trace.length) {
    for (let next = trace[arrived]; next && next.queued <= now; next = trace[++arrived])
      scheduler.submit(next);
    begin();
    const task = tasks.shift();
    const pass = task ? undefined : scheduler.next(now);
    if (task) {
      now += task.milliseconds;
      task.done();
    } else if (pass) {
      const milliseconds = passTime(device, pass.call, pass.samples, pass.runs[0]?.pixels as number);
      now += milliseconds;
      scheduler.ran(pass, milliseconds);
      passes++;
      if (pass.call === 'full') {
        fulls++;
        fullSamples += pass.samples;
      }
      for (const job of pass.runs) {
        const left = (calls.get(job.id) as number) - 1;
        calls.set(job.id, left);
        if (left === 0) decode(job);
      }
    } else {
      now = (trace[arrived] as PlannedJob).queued;
    }
  }
  return {
    latencies: trace.map(({ id }) => latencies.get(id) as number),
    makespan: now - (trace[0]?.queued as number),
    passes,
    fullSamples: fullSamples / fulls,
  };
}

function around(device: Device, what: 'encode' | 'decode', pixels: number): number {
  return what === 'encode' ? device.encode : (device.decode * pixels) / device.pixels;
}
