import { randomBytes, randomUUID } from 'node:crypto';
import type { ImageResult } from '../../../pipelines/outputs/result.js';
import type { LatentPreview } from '../../../previews/latent-preview.js';
import type { Job, JobEvent, JobState } from '../engine.js';

/** How far a run is. */
export interface Progress {
  readonly step: number;
  readonly steps: number;
  readonly call: number;
  readonly calls: number;
}

/** How long the server waits for a caller who has gone silent, in seconds. */
export interface Patience {
  /** After the last stream of events has ended, for a client that connects again. */
  readonly reconnect: number;
  /** Between two questions of a client that listens to no stream. */
  readonly poll: number;
}

/** A job, and what the server knows about it besides. */
export class JobRecord {
  /** Not the engine's: what callers know is theirs alone. */
  readonly id = randomUUID();
  /** Whoever knows it may fetch the pictures: it is a part of their addresses. */
  readonly token = randomBytes(24).toString('base64url');
  readonly created = Date.now();
  progress: Progress | undefined;
  preview: LatentPreview | undefined;
  /** When it began and ended. */
  started: number | undefined;
  ended: number | undefined;
  error: Error | undefined;
  result: ImageResult | undefined;
  /** Resolves at its end, when all that is known of it is here. */
  readonly over: Promise<void>;
  #streams = 0;
  #lease: NodeJS.Timeout | undefined;

  /**
   * @param owner whose it is.
   * @param isDetached it goes on without anybody who listens.
   * @param onEvent is told what happens.
   */
  constructor(
    readonly job: Job,
    readonly owner: string,
    readonly isDetached: boolean,
    private readonly patience: Patience,
    onEvent: (record: JobRecord, event: JobEvent) => void,
  ) {
    this.touch();
    this.over = this.#watch(onEvent);
  }

  get state(): JobState {
    return this.job.state;
  }

  get isOver(): boolean {
    return this.ended !== undefined;
  }

  cancel(): void {
    this.job.cancel();
  }

  /** Somebody asked for it. */
  touch(): void {
    if (this.#streams === 0) this.#wait(this.patience.poll);
  }

  /** Somebody listens to it until the returned function is called. */
  attach(): () => void {
    this.#streams++;
    clearTimeout(this.#lease);
    let isAttached = true;
    return () => {
      if (!isAttached) return;
      isAttached = false;
      this.#streams--;
      if (this.#streams === 0) this.#wait(this.patience.reconnect);
    };
  }

  /** Follows the job to its end; never rejects. */
  async #watch(onEvent: (record: JobRecord, event: JobEvent) => void): Promise<void> {
    try {
      for await (const event of this.job.events()) {
        this.#take(event);
        onEvent(this, event);
      }
      this.result = (await this.job.result) as ImageResult;
    } catch (error) {
      this.error ??= error instanceof Error ? error : new Error(String(error));
    }
    this.ended = Date.now();
    this.preview = undefined;
    clearTimeout(this.#lease);
  }

  #take(event: JobEvent): void {
    if (event.type === 'started') this.started = Date.now();
    if (event.type === 'failed') this.error = event.error;
    if (event.type !== 'step') return;
    const { step, steps, call, calls, preview } = event;
    this.progress = { step, steps, call, calls };
    if (preview) this.preview = preview;
  }

  #wait(seconds: number): void {
    clearTimeout(this.#lease);
    if (this.isDetached || this.isOver) return;
    this.#lease = setTimeout(() => this.cancel(), seconds * 1000);
    this.#lease.unref();
  }
}
