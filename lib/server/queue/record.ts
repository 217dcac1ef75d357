import { Image } from '../../images/image.js';
import type { JobRequest, JobState } from '../engine/job.js';
import { RequestError } from '../http/errors.js';
import type { JobRecord, Made, Preview, Progress, ServedEvent } from '../http/jobs/desk.js';
import { readAbout } from './codec.js';
import type { Feed, News } from './feed.js';
import { readError, readMade } from './results/made.js';
import type { ResultStore } from './results/result-store.js';
import { persist } from './retrying.js';
import type { Store } from './store.js';

/** Milliseconds after which events are looked for though no news came. */
const LOOK_AGAIN = 1000;

/** What a record asks of the server that knows it. */
export interface RecordParts {
  readonly store: Store;
  readonly feed: Feed;
  readonly results: Pick<ResultStore, 'get'>;
  /** Streams end when it aborts: their clients go to another server. */
  readonly closing: AbortSignal;
  /** Nothing is asked of Redis any more. */
  readonly closed: AbortSignal;
  cancel(id: string): Promise<void>;
  touch(id: string): void;
  attach(record: QueueRecord, needsEnd: boolean): () => void;
}

type Found = [fields?: string[], position?: number, secondsLeft?: string, hasPreview?: number];

/** A job in Redis, as it was when it was looked at; whoever waits for its end follows it. */
export class QueueRecord implements JobRecord {
  state: JobState = 'queued';
  position = 0;
  secondsLeft: number | undefined;
  progress: Progress | undefined;
  preview: Preview | undefined;
  created = 0;
  started: number | undefined;
  ended: number | undefined;
  error: Error | undefined;
  result: Made | undefined;
  owner = '';
  token = '';
  request!: Pick<JobRequest, 'model' | 'task' | 'options'>;
  #hook = '';
  #over: Promise<void> | undefined;

  private constructor(
    readonly id: string,
    private readonly parts: RecordParts,
  ) {}

  /** Undefined where there is none. */
  static async find(id: string, parts: RecordParts): Promise<QueueRecord | undefined> {
    const record = new QueueRecord(id, parts);
    return (await record.refresh()) ? record : undefined;
  }

  /** An address that is told of its end, as it was packed. */
  get hook(): string {
    return this.#hook;
  }

  get isOver(): boolean {
    return this.state !== 'queued' && this.state !== 'running';
  }

  get over(): Promise<void> {
    this.#over ??= this.follow(() => {});
    return this.#over;
  }

  /** Looks at it anew; false where it is not there. */
  async refresh(): Promise<boolean> {
    const { store, results } = this.parts;
    const [fields, position = 0, secondsLeft = '', hasPreview] = await store.run<Found>('look', this.id);
    if (!fields) return false;
    const all = new Map<string, string>();
    for (let i = 0; i < fields.length; i += 2) all.set(fields[i] as string, fields[i + 1] as string);
    const number = (name: string) => (all.has(name) ? Number(all.get(name)) : undefined);
    this.state = (all.get('state') ?? 'queued') as JobState;
    this.owner = all.get('owner') ?? '';
    this.token = all.get('token') ?? '';
    this.#hook = all.get('hook') ?? '';
    this.request ??= {
      model: all.get('model') ?? '',
      task: readAbout(all.get('about') ?? '{}').task,
      options: JSON.parse(all.get('request') ?? '{}') as Record<string, unknown>,
    };
    this.position = this.state === 'queued' ? position : 0;
    this.created = number('created') ?? 0;
    this.started = number('started');
    this.ended = number('ended');
    const progress = all.get('progress');
    const { secondsLeft: left, ...steps } = progress ? JSON.parse(progress) : {};
    this.progress = progress ? (steps as Progress) : undefined;
    this.secondsLeft = this.isOver
      ? undefined
      : (left ?? (secondsLeft === '' ? undefined : Number(secondsLeft)));
    this.preview = hasPreview === 1 && !this.isOver ? this.#preview() : undefined;
    const [result, error] = [all.get('result'), all.get('error')];
    if (result !== undefined) this.result = readMade(result, results);
    if (error !== undefined) this.error = readError(error);
    return true;
  }

  cancel(): Promise<void> {
    return this.parts.cancel(this.id);
  }

  touch(): void {
    this.parts.touch(this.id);
  }

  attach(needsEnd = false): () => void {
    return this.parts.attach(this, needsEnd);
  }

  /** @param from of one that is not there yet, and no more than that, after the job was begun anew. */
  events(from = 0): AsyncIterable<ServedEvent> {
    return this.#events(from, AbortSignal.any([this.parts.closing, this.parts.closed]));
  }

  /** Follows it to its end, when all of it is known; never rejects. */
  async follow(onEvent: (event: ServedEvent) => void): Promise<void> {
    const { closed } = this.parts;
    try {
      for await (const event of this.#events(0, closed)) onEvent(event);
      if (await persist(() => this.refresh(), closed)) return;
    } catch {
      // The server leaves; the job goes on.
    }
    if (closed.aborted) return;
    this.state = 'failed';
    this.ended ??= Date.now();
    this.error ??= new RequestError(404, 'not_found', 'the job was forgotten');
  }

  async *#events(from: number, signal: AbortSignal): AsyncGenerator<ServedEvent, void, void> {
    const { store, feed } = this.parts;
    if (signal.aborted) return;
    const news: News = await feed.listen(store.key('news', this.id));
    signal.addEventListener('abort', news.wake, { once: true });
    try {
      for (let next = from; !signal.aborted; ) {
        const found = await store.events(this.id, next).catch(() => undefined);
        for (const { index, text } of found ?? []) {
          const event = await this.#read(text, index);
          if (event) yield event;
          if (event?.type === 'done' || event?.type === 'failed' || event?.type === 'cancelled') return;
          next = index + 1;
        }
        if (found?.length !== 0 && found !== undefined) continue;
        await news.next(LOOK_AGAIN);
        if (found?.length === 0 && !(await this.#isThere())) return;
      }
    } finally {
      signal.removeEventListener('abort', news.wake);
      news.close();
    }
  }

  async #isThere(): Promise<boolean> {
    const { store } = this.parts;
    const count = await store.redis.exists(store.key('job', this.id)).catch(() => 1);
    return count === 1;
  }

  async #read(text: string, index: number): Promise<ServedEvent | undefined> {
    const { store } = this.parts;
    const event = JSON.parse(text) as ServedEvent & { preview?: unknown };
    if (event.type === 'failed') {
      const error = await store.redis.hget(store.key('job', this.id), 'error').catch(() => null);
      return { type: 'failed', error: readError(error ?? '') };
    }
    if (event.type !== 'step' || !event.preview) return event;
    const { preview: _, ...rest } = event;
    const bytes = await store.preview(this.id, index).catch(() => undefined);
    return bytes ? { ...rest, preview: { toImage: () => Image.open(new Uint8Array(bytes)) } } : rest;
  }

  #preview(): Preview {
    return {
      toImage: async () => {
        const bytes = await this.parts.store.preview(this.id);
        if (!bytes) throw new RequestError(404, 'not_found', 'there is no preview any more');
        return Image.open(new Uint8Array(bytes));
      },
    };
  }
}
