import type { ConductedRun } from '../../pipelines/loop/conductor.js';
import type { Pass } from './schedule/passes.js';
import type { PlannedJob } from './schedule/planned-job.js';
import type { Scheduler } from './schedule/scheduler.js';

/** A run whose calls the conductor gives out. */
export interface EngineRun extends PlannedJob {
  /** By which ticks name it. */
  readonly number: number;
  tick(runs: readonly number[]): void;
}

interface Ordered {
  readonly pass: Pass<EngineRun>;
  /** Runs that have not said that they made the call. */
  readonly missing: Set<EngineRun>;
  milliseconds: number;
}

/**
 * Passes that native code has been told of and has not computed: one that runs, and one behind it, so that the device does
 * not wait for JavaScript between them. Passes of other networks are no further than the one that runs: native code
 * knows no order between networks.
 */
const AHEAD = 2;

/** Carries out what a scheduler decides: orders ticks, and says which have come. */
export class TickConductor {
  readonly #ordered: Ordered[] = [];
  #numbers = 0;

  constructor(private readonly scheduler: Scheduler<PlannedJob>) {}

  /** How many passes there were so far, the samples in them, and the time that they took. */
  readonly counts = { passes: 0, samples: 0, milliseconds: 0 };

  /**
   * A job is about to make its calls.
   *
   * @param onPass told of each, with the samples of its pass.
   */
  enter(
    job: PlannedJob,
    { tick, calls, samples, pixels, shape }: ConductedRun,
    onPass: (samples: number) => void = () => {},
  ): ReturnType<typeof this.run> {
    const number = (this.#numbers % LAST) + 1;
    this.#numbers++;
    // What runs of other models look like is their own affair.
    return this.run({ ...job, calls, samples, pixels, shape: `${job.model} ${shape}`, number, tick }, onPass);
  }

  /** Decides on passes as far ahead as it may. */
  pump(): void {
    while (this.#ordered.length < AHEAD) {
      const pass = this.scheduler.next(Date.now(), this.#mayFollow) as Pass<EngineRun> | undefined;
      if (!pass) return;
      this.#ordered.push({ pass, missing: new Set(pass.runs), milliseconds: 0 });
      pass.runs[0]?.tick(pass.runs.map(({ number }) => number));
    }
  }

  run(run: EngineRun, onPass: (samples: number) => void = () => {}) {
    return {
      number: run.number,
      ready: () => {
        this.scheduler.enter(run);
        this.pump();
      },
      ran: (milliseconds: number) => {
        const ordered = this.#ordered.find(({ missing }) => missing.has(run));
        if (!ordered) return;
        onPass(ordered.pass.samples);
        ordered.milliseconds = Math.max(ordered.milliseconds, milliseconds);
        this.#made(ordered, run, true);
        this.pump();
      },
      leave: () => {
        this.scheduler.leave(run.id);
        for (const ordered of [...this.#ordered]) this.#made(ordered, run, false);
        this.pump();
      },
    };
  }

  readonly #mayFollow = ({ model }: PlannedJob) => {
    const last = this.#ordered.at(-1)?.pass.runs[0];
    return last === undefined || last.model === model;
  };

  #made(ordered: Ordered, run: EngineRun, ran: boolean): void {
    if (!ordered.missing.delete(run) || ordered.missing.size > 0) return;
    this.#ordered.splice(this.#ordered.indexOf(ordered), 1);
    // One that somebody left was smaller than it was meant to be.
    if (!ran) return;
    this.scheduler.ran(ordered.pass, ordered.milliseconds);
    this.counts.passes++;
    this.counts.samples += ordered.pass.samples;
    this.counts.milliseconds += ordered.milliseconds;
  }
}

/** The largest number that native code takes. */
const LAST = 2 ** 30 - 1;
