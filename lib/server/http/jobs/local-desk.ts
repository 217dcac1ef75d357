import { DeepCacheError } from '../../../errors.js';
import type { Engine } from '../engine.js';
import { RequestError } from '../errors.js';
import type { Caller } from '../keys.js';
import type { DeskListeners, DeskSettings, JobDesk, Submission } from './desk.js';
import { LocalRecord } from './local-record.js';

/** Callers whose choice of a model is remembered. */
const MOST_CHOICES = 1000;

/** The jobs of an engine of this process. */
export class LocalDesk implements JobDesk {
  readonly #records = new Map<string, LocalRecord>();
  /** What is to be done when a record is forgotten. */
  readonly #onForget = new Map<LocalRecord, (() => void)[]>();
  readonly #byToken = new Map<string, LocalRecord>();
  readonly #repeats = new Map<string, { digest: string; record: Promise<LocalRecord> }>();
  readonly #pending = new Map<string, number>();
  /** The newest of each caller that was handed in as such. */
  readonly #newest = new Map<string, LocalRecord>();
  readonly #choices = new Map<string, string>();
  #pendingBytes = 0;
  #keptBytes = 0;
  #isClosing = false;

  constructor(
    private readonly engine: Engine,
    private readonly settings: DeskSettings,
    private readonly listeners: DeskListeners,
  ) {}

  close(): void {
    this.#isClosing = true;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  get problem(): undefined {
    return undefined;
  }

  async submit(submission: Submission): Promise<{ record: LocalRecord; isRepeat: boolean }> {
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

  async find(id: string, caller: Caller): Promise<LocalRecord> {
    const record = this.#records.get(id);
    if (record?.owner === caller.id) return record;
    throw new RequestError(404, 'not_found', 'there is no such job, or it was forgotten');
  }

  async findByToken(token: string): Promise<LocalRecord> {
    const record = this.#byToken.get(token);
    if (record) return record;
    throw new RequestError(404, 'not_found', 'there is no such picture, or it was forgotten');
  }

  async of(caller: Caller): Promise<LocalRecord[]> {
    return [...this.#records.values()].filter(({ owner }) => owner === caller.id);
  }

  async newest({ id }: Caller): Promise<LocalRecord | undefined> {
    return this.#newest.get(id);
  }

  async chosenModel({ id }: Caller): Promise<string | undefined> {
    return this.#choices.get(id);
  }

  async chooseModel({ id }: Caller, model: string): Promise<void> {
    this.#choices.delete(id);
    this.#choices.set(id, model);
    const [oldest] = this.#choices.keys();
    if (this.#choices.size > MOST_CHOICES && oldest !== undefined) this.#choices.delete(oldest);
  }

  /** Cancels and forgets everything. */
  clear(): void {
    for (const record of this.#records.values()) {
      if (!record.isOver) void record.cancel();
      this.#forget(record);
    }
  }

  async #accept(submission: Submission): Promise<LocalRecord> {
    const { caller, request, detach = false, bytes = 0, isNewest = false, hook } = submission;
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
      const { onEvent, onEnd, onHook } = this.listeners;
      const record = new LocalRecord(job, caller.id, detach, this.settings.patience, onEvent);
      this.#records.set(record.id, record);
      this.#byToken.set(record.token, record);
      if (isNewest) this.#newest.set(caller.id, record);
      void record.over.then(() => {
        settle();
        if (this.#newest.get(caller.id) === record) this.#newest.delete(caller.id);
        this.#keep(record);
        onEnd(record);
        if (hook) void onHook(record, hook);
      });
      return record;
    } catch (error) {
      settle();
      throw error;
    }
  }

  /** For a while, and as long as there is room. */
  #keep(record: LocalRecord): void {
    const { seconds, bytes } = this.settings.keep;
    this.#keptBytes += record.bytes;
    for (const other of this.#records.values()) {
      if (this.#keptBytes <= bytes) break;
      if (other.isOver && other !== record) this.#forget(other);
    }
    const timer = setTimeout(() => this.#forget(record), seconds * 1000).unref();
    this.#whenForgotten(record, () => clearTimeout(timer));
  }

  #whenForgotten(record: LocalRecord, work: () => void): void {
    this.#onForget.set(record, [...(this.#onForget.get(record) ?? []), work]);
  }

  #forget(record: LocalRecord): void {
    if (!this.#records.delete(record.id)) return;
    this.#byToken.delete(record.token);
    if (record.isOver) this.#keptBytes -= record.bytes;
    for (const work of this.#onForget.get(record) ?? []) work();
    this.#onForget.delete(record);
  }
}

function busy(message: string): DeepCacheError {
  return new DeepCacheError('ERR_DEEPCACHE_BUSY', message);
}
