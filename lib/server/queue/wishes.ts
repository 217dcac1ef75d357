import { randomUUID } from 'node:crypto';
import type { Patience } from '../http/jobs/desk.js';
import type { QueueRecord } from './record.js';
import type { Store } from './store.js';

/**
 * Who wants which jobs: a job that nobody wants any more is cancelled, by whichever server sees it first. Wishes are in Redis and run
 * out, so that those of a server that died count for nothing.
 */
export class Wishes {
  /** Of this server: those of others go on when its own end. */
  readonly #id = randomUUID();
  readonly #attached = new Map<string, { count: number; timer: NodeJS.Timeout }>();
  /** Jobs at whose end somebody at this server gets an answer. */
  readonly #needed = new Set<QueueRecord>();
  #wake: (() => void)[] = [];

  constructor(
    private readonly store: Store,
    private readonly patience: Patience,
    private readonly isClosing: () => boolean,
  ) {}

  /** Jobs at whose end somebody at this server gets an answer. */
  get needed(): readonly QueueRecord[] {
    return [...this.#needed];
  }

  /** Somebody asked for a job. */
  touch(id: string): void {
    this.#wish(id, 'poll', this.patience.poll, false);
  }

  /** Somebody listens to a job until the returned function is called. */
  attach(record: QueueRecord, needsEnd: boolean): () => void {
    const { id } = record;
    if (needsEnd) this.#needed.add(record);
    const renew = () => this.#wish(id, this.#id, this.patience.poll, false);
    const known = this.#attached.get(id);
    if (known) {
      known.count++;
    } else {
      const timer = setInterval(renew, Math.max(200, (1000 * this.patience.poll) / 3));
      timer.unref();
      this.#attached.set(id, { count: 1, timer });
    }
    renew();
    let isAttached = true;
    return () => {
      if (!isAttached) return;
      isAttached = false;
      this.#release(id);
      if (!this.#needed.delete(record)) return;
      const waiting = this.#wake;
      this.#wake = [];
      for (const wake of waiting) wake();
    };
  }

  /** Resolves when all answers were given. */
  async idle(): Promise<void> {
    while (this.#needed.size > 0) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  close(): void {
    for (const { timer } of this.#attached.values()) clearInterval(timer);
    this.#attached.clear();
    this.#needed.clear();
  }

  #release(id: string): void {
    const known = this.#attached.get(id);
    if (!known || --known.count > 0) return;
    clearInterval(known.timer);
    this.#attached.delete(id);
    const { poll, reconnect } = this.patience;
    // Who is sent away has to find another server first.
    this.#wish(id, this.#id, this.isClosing() ? poll : reconnect, true);
  }

  #wish(id: string, who: string, seconds: number, isNew: boolean): void {
    // What fails now is said again, or said by the next server.
    this.store.run('lease', id, who, Math.round(1000 * seconds), isNew ? 1 : 0).catch(() => {});
  }
}
