import { DeepCacheError } from '../../../errors.js';
import type { Engine, JobEvent, JobRequest } from '../engine.js';
import { RequestError } from '../errors.js';
import type { Caller } from '../keys.js';
import { JobRecord, type Patience } from './record.js';

/** A job that a caller hands in. */
export interface Submission {
  readonly caller: Caller;
  readonly request: Omit<JobRequest, 'client'>;
  /** It goes on when nobody listens. */
  readonly detach?: boolean | undefined;
  /** Bytes of the pictures in it. */
  readonly bytes?: number | undefined;
  /** The caller's own name for the request, and a digest of what was asked. */
  readonly idempotency?: { readonly key: string; readonly digest: string } | undefined;
}

/** How long, and how much of, finished jobs are kept. */
export interface Keeping {
  /** After the end of a job. */
  readonly seconds: number;
  /** Of pictures of all finished jobs, 3 for a pixel; the oldest go first. */
  readonly bytes: number;
}

interface Settings {
  readonly keep: Keeping;
  readonly patience: Patience;
  /** Of pictures in requests that wait or run. */
  readonly pendingBytes: number;
}

/** What others are told. */
interface Listeners {
  onEvent(record: JobRecord, event: JobEvent): void;
  onEnd(record: JobRecord): void;
}

/** The jobs of all callers, from their acceptance until they are forgotten. */
export class JobRecords {
  readonly #records = new Map<string, JobRecord>();
  /** What is to be done when a record is forgotten. */
  readonly #onForget = new Map<JobRecord, (() => void)[]>();
  readonly #byToken = new Map<string, JobRecord>();
  readonly #repeats = new Map<string, { digest: string; record: Promise<JobRecord> }>();
  readonly #pending = new Map<string, number>();
  #pendingBytes = 0;
  #keptBytes = 0;
  #isClosing = false;

  constructor(
    private readonly engine: Engine,
    private readonly settings: Settings,
    private readonly listeners: Listeners,
  ) {}

  /** Takes no more from now on. */
  close(): void {
    this.#isClosing = true;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /**
   * Hands a job to the engine, or finds the one of the same idempotency key.
   *
   * @throws RequestError 409 for a key that was used for something else, 429, 503; what the engine throws.
   */
  async submit(submission: Submission): Promise<{ record: JobRecord; isRepeat: boolean }> {
    if (this.#isClosing) throw new RequestError(503, 'closing', 'the server is shutting down', 10);
    const { caller, idempotency } = submission;
    if (!idempotency) return { record: await this.#accept(submission), isRepeat: false };
    const name = `${caller.id}\n${idempotency.key}`;
    const known = this.#repeats.get(name);
    if (known) {
      if (known.digest !== idempotency.digest)
        throw new RequestError(
          409,
          'idempotency_conflict',
          'the Idempotency-Key was used for another request',
        );
      return { record: await known.record, isRepeat: true };
    }
    const accepted = this.#accept(submission);
    this.#repeats.set(name, { digest: idempotency.digest, record: accepted });
    try {
      const record = await accepted;
      this.#whenForgotten(record, () => this.#repeats.delete(name));
      return { record, isRepeat: false };
    } catch (error) {
      // It was not accepted: the next try may be.
      this.#repeats.delete(name);
      throw error;
    }
  }

  /** A job of the caller; what is somebody else's is not there. */
  find(id: string, caller: Caller): JobRecord {
    const record = this.#records.get(id);
    if (record?.owner === caller.id) return record;
    throw new RequestError(404, 'not_found', 'there is no such job, or it was forgotten');
  }

  /** A finished job by the token in the addresses of its pictures. */
  findByToken(token: string): JobRecord {
    const record = this.#byToken.get(token);
    if (record) return record;
    throw new RequestError(404, 'not_found', 'there is no such picture, or it was forgotten');
  }

  /** All of the caller, the newest last. */
  of(caller: Caller): JobRecord[] {
    return [...this.#records.values()].filter(({ owner }) => owner === caller.id);
  }

  /** Cancels and forgets everything. */
  clear(): void {
    for (const record of this.#records.values()) {
      if (!record.isOver) record.cancel();
      this.#forget(record);
    }
  }

  async #accept({ caller, request, detach = false, bytes = 0 }: Submission): Promise<JobRecord> {
    const pending = this.#pending.get(caller.id) ?? 0;
    if (pending >= caller.maxPending)
      throw busy(`${pending} jobs of this key are waiting or running, which is as many as it may have`);
    if (bytes > 0 && this.#pendingBytes + bytes > this.settings.pendingBytes)
      throw busy('the pictures of waiting requests fill the memory that is set aside for them');
    // Before anything is waited for, so that requests at the same time see each other.
    this.#pending.set(caller.id, pending + 1);
    this.#pendingBytes += bytes;
    const settle = () => {
      this.#pendingBytes -= bytes;
      const left = (this.#pending.get(caller.id) ?? 1) - 1;
      if (left > 0) this.#pending.set(caller.id, left);
      else this.#pending.delete(caller.id);
    };
    try {
      const priority = caller.priority + Math.min(0, request.priority ?? 0);
      const job = await this.engine.submit({ ...request, priority, client: caller.id });
      const { onEvent, onEnd } = this.listeners;
      const record = new JobRecord(job, caller.id, detach, this.settings.patience, onEvent);
      this.#records.set(record.id, record);
      this.#byToken.set(record.token, record);
      void record.over.then(() => {
        settle();
        this.#keep(record);
        onEnd(record);
      });
      return record;
    } catch (error) {
      settle();
      throw error;
    }
  }

  /** For a while, and as long as there is room. */
  #keep(record: JobRecord): void {
    const { seconds, bytes } = this.settings.keep;
    this.#keptBytes += sizeOf(record);
    for (const other of this.#records.values()) {
      if (this.#keptBytes <= bytes) break;
      if (other.isOver && other !== record) this.#forget(other);
    }
    const timer = setTimeout(() => this.#forget(record), seconds * 1000).unref();
    this.#whenForgotten(record, () => clearTimeout(timer));
  }

  #whenForgotten(record: JobRecord, work: () => void): void {
    this.#onForget.set(record, [...(this.#onForget.get(record) ?? []), work]);
  }

  #forget(record: JobRecord): void {
    if (!this.#records.delete(record.id)) return;
    this.#byToken.delete(record.token);
    if (record.isOver) this.#keptBytes -= sizeOf(record);
    for (const work of this.#onForget.get(record) ?? []) work();
    this.#onForget.delete(record);
  }
}

function sizeOf({ result }: JobRecord): number {
  return (result?.images ?? []).reduce((sum, { data }) => sum + data.byteLength, 0);
}

function busy(message: string): DeepCacheError {
  return new DeepCacheError('ERR_DEEPCACHE_BUSY', message);
}
