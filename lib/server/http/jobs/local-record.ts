import { randomBytes, randomUUID } from 'node:crypto';
import type { ImageResult } from '../../../pipelines/outputs/result.js';
import type { Job, JobEvent, JobRequest, JobState } from '../engine.js';
import { encode } from '../pictures.js';
import type { JobRecord, Made, Patience, Preview, Progress, ServedEvent } from './desk.js';

/** A job of an engine of this process. */
export class LocalRecord implements JobRecord {
  /** Not the engine's: what callers know is theirs alone. */
  readonly id = randomUUID();
  /** Whoever knows it may fetch the pictures: it is a part of their addresses. */
  readonly token = randomBytes(24).toString('base64url');
  readonly created = Date.now();
  progress: Progress | undefined;
  preview: Preview | undefined;
  /** When it began and ended. */
  started: number | undefined;
  ended: number | undefined;
  error: Error | undefined;
  result: Made | undefined;
  /** Of the pictures, 3 for a pixel. */
  bytes = 0;
  readonly over: Promise<void>;
  #streams = 0;
  #lease: NodeJS.Timeout | undefined;

  /**
   * @param owner whose it is.
   * @param isDetached it goes on without anybody who listens.
   * @param onEvent is told what happens.
   */
  constructor(
    private readonly job: Job,
    readonly owner: string,
    readonly isDetached: boolean,
    private readonly patience: Patience,
    onEvent: (record: LocalRecord, event: JobEvent) => void,
  ) {
    this.touch();
    this.over = this.#watch(onEvent);
  }

  get state(): JobState {
    return this.job.state;
  }

  get request(): JobRequest {
    return this.job.request;
  }

  get position(): number {
    return this.job.position;
  }

  get secondsLeft(): number | undefined {
    return this.job.secondsLeft;
  }

  events(from?: number): AsyncIterable<ServedEvent> {
    return this.job.events(from);
  }

  get isOver(): boolean {
    return this.ended !== undefined;
  }

  async cancel(): Promise<void> {
    this.job.cancel();
  }

  touch(): void {
    if (this.#streams === 0) this.#wait(this.patience.poll);
  }

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
  async #watch(onEvent: (record: LocalRecord, event: JobEvent) => void): Promise<void> {
    try {
      for await (const event of this.job.events()) {
        this.#take(event);
        onEvent(this, event);
      }
      const result = (await this.job.result) as ImageResult;
      this.bytes = result.images.reduce((sum, { data }) => sum + data.byteLength, 0);
      this.result = madeOf(result);
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
    this.#lease = setTimeout(() => void this.cancel(), seconds * 1000);
    this.#lease.unref();
  }
}

function madeOf({ images, settings, seeds, notes, stats }: ImageResult): Made {
  return {
    pictures: images.map((image) => ({
      width: image.width,
      height: image.height,
      file: (format, options) => encode(image, format, options),
    })),
    ...{ settings, seeds, notes, times: stats.times, speedup: stats.speedup },
  };
}
