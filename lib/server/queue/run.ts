import type { Job as Ticket } from 'bullmq';
import type { ImageResult } from '../../pipelines/outputs/result.js';
import type { Job, JobEvent, JobRequest } from '../engine/job.js';
import type { NetworkNames } from '../http/network-names.js';
import type { Broker } from './broker.js';
import { readAbout, unpackOptions } from './codec.js';
import { News } from './feed.js';
import { packError, type Stored, storeResult } from './results/made.js';
import type { ResultStore } from './results/result-store.js';
import { persist } from './retrying.js';
import type { Store } from './store.js';

/** What runs of a worker share. */
export interface RunParts {
  readonly store: Store;
  readonly broker: Broker;
  readonly results: ResultStore;
  /** Hands a job to the engine. */
  submit(request: JobRequest): Promise<Job>;
  /** What requests for a model may name besides it. */
  namesOf(model: string): NetworkNames;
  readonly lockMilliseconds: number;
  /** Of a job, by all workers. */
  readonly maxAttempts: number;
  /** Told what went wrong that is nobody's request. */
  onProblem(id: string, error: unknown): void;
}

/** What is said where a job was begun as often as it may. */
const SPENT = JSON.stringify({
  code: 'ERR_DEEPCACHE_WORKER_LOST',
  message: 'the job was begun as often as it may, and each time its worker died or was cut off',
});

type Begun =
  | readonly ['gone' | 'over' | 'lost' | 'spent']
  | readonly ['run', request: string, about: string, units: string, keep: string, attempt: number];

/** An attempt at a job that BullMQ gave to this worker: from its lock to its only end. */
export class Run {
  readonly id: string;
  readonly #stop = new AbortController();
  #job: Job | undefined;
  #pushed = 0;
  #renewal: NodeJS.Timeout | undefined;
  #isGivenBack = false;

  /** @param token of this attempt; BullMQ's lock holds it. */
  constructor(
    private readonly parts: RunParts,
    private readonly model: string,
    private readonly ticket: Ticket,
    private readonly token: string,
  ) {
    this.id = ticket.id as string;
  }

  /** Runs it to its end; never rejects. */
  async go(): Promise<void> {
    this.#renewal = setInterval(() => this.#renew(), this.parts.lockMilliseconds / 3);
    try {
      const begun = await this.#begin();
      if (begun[0] === 'run') await this.#run(begun);
      // Somebody else has it, with a lock of its own.
      if (begun[0] === 'lost' || this.#isGivenBack) return;
      await this.ticket.moveToCompleted('', this.token, false);
    } catch (error) {
      if (!this.#stop.signal.aborted) this.parts.onProblem(this.id, error);
    } finally {
      clearInterval(this.#renewal);
    }
  }

  /** It was cancelled, or another attempt has begun: what it makes is of no use any more. */
  stop(): void {
    this.#stop.abort(new Error('stopped'));
    this.#job?.cancel();
  }

  /** Ends it, and puts the job back where it was; another worker takes it. */
  async giveBack(): Promise<void> {
    const { store } = this.parts;
    try {
      const isOurs = await store.run<number>('giveBack', this.id, this.token);
      this.#isGivenBack = isOurs === 1;
      this.stop();
      if (!this.#isGivenBack) return;
      await this.ticket.moveToWait(this.token);
      await store.redis.publish(store.key('work'), this.model);
    } catch (error) {
      // Its lock runs out.
      this.parts.onProblem(this.id, error);
      this.stop();
    }
  }

  #renew(): void {
    // Not the end of the run where it fails: what counts is whether another attempt has begun.
    this.ticket.extendLock(this.token, this.parts.lockMilliseconds).catch(() => {});
  }

  #begin(): Promise<Begun> {
    const { store, broker, maxAttempts } = this.parts;
    const lock = broker.lockOf(this.model, this.id);
    return persist(
      () => store.run<Begun>('begin', this.id, lock, this.token, maxAttempts, SPENT),
      this.#stop.signal,
    );
  }

  async #run([, text, about, units, keep]: Begun & readonly ['run', ...unknown[]]): Promise<void> {
    const { store, results, submit, namesOf } = this.parts;
    const { signal } = this.#stop;
    let stored: Stored | undefined;
    let isKept = false;
    try {
      const parts = await persist(() => store.parts(this.id), signal);
      const options = unpackOptions({ text: text as string, parts }, namesOf(this.model));
      this.#job = await submit({ ...readAbout(about as string), model: this.model, options });
      if (signal.aborted) this.#job.cancel();
      await this.#follow(this.#job);
      const result = (await this.#job.result) as ImageResult;
      const milliseconds = 2 * Number(keep) + 3_600_000;
      stored = await persist(
        () => storeResult(results, result, milliseconds),
        signal,
        (error) => this.parts.onProblem(this.id, error),
      );
      const rate = (1000 * result.stats.times.total) / Math.max(Number(units), 1e-6);
      isKept = await this.#finish('done', stored.text, stored.bytes, String(rate));
    } catch (error) {
      if (!signal.aborted) await this.#finish('failed', packError(error), 0, '');
    } finally {
      // What came too late is nobody's.
      if (stored && !isKept) await results.remove(stored.names).catch(() => {});
    }
  }

  async #finish(state: 'done' | 'failed', text: string, bytes: number, rate: string): Promise<boolean> {
    const { store } = this.parts;
    const event = JSON.stringify({ type: state });
    const isOurs = await persist(
      () => store.run<number>('finish', this.id, this.token, state, text, bytes, rate, event),
      this.#stop.signal,
    );
    return isOurs === 1;
  }

  /** Tells of the steps of a job until its end, several at once where they come faster than they can be told. */
  async #follow(job: Job): Promise<void> {
    const waiting: Step[] = [];
    const news = new News(() => {});
    let isOver = false;
    const read = async () => {
      for await (const event of job.events()) {
        if (event.type === 'step') waiting.push(event);
        news.wake();
      }
    };
    const reading = read().finally(() => {
      isOver = true;
      news.wake();
    });
    while (!this.#stop.signal.aborted) {
      if (waiting.length > 0) await this.#push(waiting.splice(0, 100), job);
      else if (isOver) break;
      else await news.next(1000);
    }
    await reading;
  }

  async #push(steps: readonly Step[], job: Job): Promise<void> {
    const { store } = this.parts;
    const last = steps.at(-1) as Step;
    const at = steps.map(({ preview }) => preview !== undefined).lastIndexOf(true);
    const picture = await steps[at]?.preview?.toImage();
    const bytes = picture ? await picture.toBuffer('jpeg', { quality: 90, metadata: false }) : '';
    const { step, steps: all, call, calls } = last;
    const progress = JSON.stringify({ step, steps: all, call, calls, secondsLeft: job.secondsLeft });
    const events = steps.map(({ preview, ...rest }) =>
      JSON.stringify({ ...rest, ...(preview && { preview: true }) }),
    );
    const isOurs = await persist(
      () => store.run<number>('push', this.id, this.token, this.#pushed, at + 1, bytes, progress, ...events),
      this.#stop.signal,
    );
    this.#pushed += steps.length;
    if (isOurs !== 1) this.stop();
  }
}

type Step = Extract<JobEvent, { type: 'step' }>;
