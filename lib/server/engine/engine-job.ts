import { randomUUID } from 'node:crypto';
import { DeepCacheError } from '../../errors.js';
import type { GenerateResult, StepEvent } from '../../pipelines/outputs/result.js';
import { EventLog } from './event-log.js';
import type { Job, JobEvent, JobRequest, JobState } from './job.js';
import { JobTrace } from './job-trace.js';

/** What the engine tells of a job that waits. */
export interface Outlook {
  readonly position: number;
  readonly secondsLeft?: number;
}

/** A job in the hands of the engine. */
export class EngineJob implements Job {
  readonly id = randomUUID();
  readonly result: Promise<GenerateResult>;
  readonly trace: JobTrace;
  readonly #log = new EventLog();
  readonly #stop = new AbortController();
  readonly #times: { queued: number; started?: number; ended?: number };
  #state: JobState = 'queued';
  #calls = 0;
  #settle!: { resolve(result: GenerateResult): void; reject(error: unknown): void };

  /**
   * @param outlook asked while the job waits or runs.
   * @param onCancel called when a job that waits is cancelled; one that runs ends by its signal.
   */
  constructor(
    readonly request: JobRequest,
    private readonly outlook: () => Outlook,
    private readonly onCancel: () => void,
    now: number,
    size: { readonly steps: number; readonly calls: number },
  ) {
    this.trace = new JobTrace(this.id, request, size);
    this.#times = { queued: now };
    this.result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.result.catch(() => {});
  }

  get state(): JobState {
    return this.#state;
  }

  get times(): Job['times'] {
    return this.#times;
  }

  get position(): number {
    return this.#state === 'queued' ? this.outlook().position : 0;
  }

  get secondsLeft(): number | undefined {
    return this.isOver ? undefined : this.outlook().secondsLeft;
  }

  get isOver(): boolean {
    return this.#state !== 'queued' && this.#state !== 'running';
  }

  /** U-Net calls so far. */
  get calls(): number {
    return this.#calls;
  }

  /** The option that asks for previews. */
  get previews(): { previewEvery?: number } {
    const { previewEvery } = this.request;
    return previewEvery === undefined ? {} : { previewEvery };
  }

  /** Aborts when it is cancelled. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  events(from = 0): AsyncIterable<JobEvent> {
    return this.#log.read(from);
  }

  cancel(): void {
    if (this.isOver || this.#stop.signal.aborted) return;
    this.#stop.abort(new DeepCacheError('ERR_DEEPCACHE_ABORTED', 'The job was cancelled'));
    if (this.#state !== 'queued') return;
    this.onCancel();
    this.fail(this.#stop.signal.reason);
  }

  /** Tells listeners how long it will wait. */
  tellOutlook(): void {
    this.#log.push({ type: 'queued', ...this.outlook() });
  }

  begin(): void {
    this.#state = 'running';
    this.trace.begin('prepare');
    this.#times.started = Date.now();
    this.#log.push({ type: 'started' });
  }

  step({ step, steps, call, calls, kind, preview }: StepEvent): void {
    this.#calls++;
    this.#log.push({ type: 'step', step, steps, call, calls, kind, ...(preview && { preview }) });
  }

  finish(result: GenerateResult): void {
    if (this.#end('done')) this.#log.push({ type: 'done' });
    this.trace.end();
    this.#settle.resolve(result);
  }

  fail(reason: unknown): void {
    const error = reason instanceof Error ? reason : new Error(String(reason));
    if (!this.isOver) this.trace.end(error);
    if (this.#stop.signal.aborted && error === this.#stop.signal.reason) {
      if (this.#end('cancelled')) this.#log.push({ type: 'cancelled' });
    } else if (this.#end('failed')) {
      this.#log.push({ type: 'failed', error });
    }
    this.#settle.reject(error);
  }

  #end(state: JobState): boolean {
    if (this.isOver) return false;
    this.#state = state;
    this.#times.ended = Date.now();
    return true;
  }
}
