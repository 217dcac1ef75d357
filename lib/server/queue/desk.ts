import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { DeepCacheError, messageOf } from '../../errors.js';
import { outputsOf } from '../../pipelines/inputs/options.js';
import { callsOf } from '../../pipelines/loop/conductor.js';
import { activeTrace } from '../engine/job-trace.js';
import { type EngineNetworks, needsOf } from '../engine/networks.js';
import { checkRun } from '../engine/served-model.js';
import { RequestError } from '../http/errors.js';
import type { DeskListeners, DeskSettings, Hook, JobDesk, Submission } from '../http/jobs/desk.js';
import type { Caller } from '../http/keys.js';
import type { NetworkNames } from '../http/network-names.js';
import type { Broker } from './broker.js';
import { aboutOf, pack } from './codec.js';
import type { Feed } from './feed.js';
import { QueueRecord, type RecordParts } from './record.js';
import type { ResultStore } from './results/result-store.js';
import type { Roster } from './roster.js';
import type { Store } from './store.js';
import { Upkeep } from './upkeep.js';
import { Wishes } from './wishes.js';

/** What a desk is made of. */
export interface DeskParts {
  readonly store: Store;
  readonly broker: Broker;
  readonly feed: Feed;
  readonly results: ResultStore;
  readonly roster: Roster;
  /** Jobs that may wait, of all servers. */
  readonly maxQueued: number;
  /** Why Redis cannot be reached; undefined: it can. */
  problem(): string | undefined;
  onProblem(error: unknown): void;
  /** Ends the connections. */
  disconnect(): void;
}

/** Milliseconds of a call on 64 x 64 latents, while nothing is known. */
const USUAL_RATE = 10;
/** As in the engine's ranking: how much longer than alone a job may take before it goes before shorter ones. */
const STRETCH = 8;
/** What priorities may be: they are a part of a number. */
const MOST_PRIORITY = 100;
const ID = /^[0-9a-f-]{36}$/;
const TOKEN = /^[\w-]{32}$/;

/** The jobs of a queue that other servers see, too. */
export class QueueDesk implements JobDesk {
  readonly #closing = new AbortController();
  readonly #closed = new AbortController();
  readonly #records: RecordParts;
  readonly #upkeep: Upkeep;
  readonly wishes: Wishes;

  constructor(
    private readonly parts: DeskParts,
    private readonly settings: DeskSettings,
    private readonly listeners: DeskListeners,
  ) {
    const { store, feed } = parts;
    this.wishes = new Wishes(store, settings.patience, () => this.isClosing);
    this.#records = {
      ...{ store, feed, closing: this.#closing.signal, closed: this.#closed.signal },
      results: { get: (name) => this.#picture(name) },
      cancel: (id) => this.#guarded(() => this.#cancel(id)),
      touch: (id) => this.wishes.touch(id),
      attach: (record, needsEnd) => this.wishes.attach(record, needsEnd),
    };
    this.#upkeep = new Upkeep(parts, settings.keep, (id) => this.#tell(id));
  }

  close(): void {
    this.#closing.abort();
  }

  get isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  get problem(): Error | undefined {
    if (this.parts.problem() !== undefined) return away();
    return this.parts.roster.hasWorkers ? undefined : this.parts.roster.absence(undefined);
  }

  async submit(submission: Submission): Promise<{ record: QueueRecord; isRepeat: boolean }> {
    if (this.isClosing) throw new RequestError(503, 'closing', 'the server is shutting down', 10);
    const units = await this.#units(submission);
    return this.#guarded(async () => {
      const { store, broker } = this.parts;
      const id = randomUUID();
      const { text, parts } = pack(submission.request.options);
      const [outcome, found = ''] = await store.run<[string, string?]>(
        'accept',
        ...[id, this.#fields(submission, units), text, ...parts],
      );
      if (outcome !== 'accepted' && outcome !== 'repeat') throw refusal(outcome, found);
      const { model } = submission.request;
      await broker.add(model, found);
      await store.redis.multi().zrem(store.key('unadded'), found).publish(store.key('work'), model).exec();
      const record = await this.#record(found);
      if (outcome === 'accepted') this.#follow(record);
      return { record, isRepeat: outcome === 'repeat' };
    });
  }

  find(id: string, caller: Caller): Promise<QueueRecord> {
    return this.#guarded(async () => {
      const record = ID.test(id) ? await QueueRecord.find(id, this.#records) : undefined;
      if (record?.owner === caller.id) return record;
      throw notFound('job');
    });
  }

  findByToken(token: string): Promise<QueueRecord> {
    return this.#guarded(async () => {
      const { store } = this.parts;
      const id = TOKEN.test(token) ? await store.redis.get(store.key('token', token)) : null;
      const record = id === null ? undefined : await QueueRecord.find(id, this.#records);
      if (record) return record;
      throw notFound('picture');
    });
  }

  of(caller: Caller): Promise<QueueRecord[]> {
    return this.#guarded(async () => {
      const { store } = this.parts;
      const ids = await store.redis.zrange(store.key('mine', caller.id), '0', '-1');
      const found = await Promise.all(ids.map((id) => QueueRecord.find(id, this.#records)));
      return found.filter((record) => record !== undefined);
    });
  }

  newest(caller: Caller): Promise<QueueRecord | undefined> {
    return this.#guarded(async () => {
      const { store } = this.parts;
      const id = await store.redis.get(store.key('newest', caller.id));
      return id === null ? undefined : QueueRecord.find(id, this.#records);
    });
  }

  chosenModel(caller: Caller): Promise<string | undefined> {
    const { store } = this.parts;
    return this.#guarded(async () => (await store.redis.get(store.key('choice', caller.id))) ?? undefined);
  }

  chooseModel(caller: Caller, model: string): Promise<void> {
    const { store } = this.parts;
    return this.#guarded(async () => {
      await store.redis.set(store.key('choice', caller.id), model, 'EX', 30 * 86_400);
    });
  }

  clear(): void {
    this.#closing.abort();
    this.#closed.abort();
    this.#upkeep.close();
    this.wishes.close();
    this.parts.disconnect();
  }

  /** Work of a run: a unit is a call on 64 x 64 latents. Its options are checked as a worker will check them. */
  async #units({ request }: Submission): Promise<number> {
    const { model, task, previewEvery } = request;
    const { card, names = {} } = this.parts.roster.model(model) ?? {};
    if (!card) return 50;
    const { options } = needsOf(request, placesOf(names));
    const given = { ...options, ...(previewEvery !== undefined && { previewEvery }) };
    const { options: run, plan } = await checkRun(model, card, task, given);
    const [samples, , height, width] = run.latent;
    return (callsOf(plan.table).length * samples * outputsOf(run) * height * width) / 4096;
  }

  #fields({ caller, request, bytes = 0, detach, isNewest, idempotency, hook }: Submission, units: number) {
    const { keep, patience, pendingBytes } = this.settings;
    const { model, task } = request;
    const wished = caller.priority + Math.min(0, request.priority ?? 0);
    const priority = Math.max(-MOST_PRIORITY, Math.min(MOST_PRIORITY, wished));
    const { options: _, ...about } = request;
    const once = idempotency ? digestOf(`${caller.id}\n${idempotency.key}`) : '';
    return JSON.stringify({
      ...{ owner: caller.id, model, task, priority, bytes, units, once },
      ...{ token: randomBytes(24).toString('base64url'), rate: USUAL_RATE, stretch: STRETCH },
      about: aboutOf({ ...activeTrace(), ...about, priority, client: caller.id }),
      digest: idempotency?.digest ?? '',
      detach: detach ? 1 : 0,
      newest: isNewest === true,
      hook: hook ? JSON.stringify(hook) : '',
      ...(request.deadline !== undefined && { deadline: Number(request.deadline) }),
      ...{ lease: 1000 * patience.poll, keep: 1000 * keep.seconds },
      maxQueued: this.parts.maxQueued,
      maxPending: Math.min(caller.maxPending, Number.MAX_SAFE_INTEGER),
      maxBytes: pendingBytes,
    });
  }

  async #record(id: string): Promise<QueueRecord> {
    const record = await QueueRecord.find(id, this.#records);
    if (record) return record;
    throw notFound('job');
  }

  /** Counts what becomes of a job that this server accepted. */
  #follow(record: QueueRecord): void {
    const { onEvent, onEnd } = this.listeners;
    void record
      .follow((event) => onEvent(record, event))
      .then(() => {
        if (record.isOver) onEnd(record);
      });
  }

  async #cancel(id: string): Promise<void> {
    const [state, model] = await this.parts.store.run<string[]>('cancel', id);
    if (state === 'queued' && model !== undefined) await this.parts.broker.remove(model, id);
  }

  /** Tells of the end of a job that has a hook. */
  async #tell(id: string): Promise<void> {
    const record = await QueueRecord.find(id, this.#records);
    if (record?.hook) await this.listeners.onHook(record, JSON.parse(record.hook) as Hook);
  }

  /** What was stored; where that cannot be had now it may be tried again. */
  async #picture(name: string): Promise<Buffer | undefined> {
    try {
      return await this.parts.results.get(name);
    } catch (error) {
      this.parts.onProblem(error);
      throw new RequestError(503, 'results_unavailable', 'the picture cannot be fetched now', 5);
    }
  }

  /** What Redis does not do now may be tried again. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof RequestError || error instanceof DeepCacheError) throw error;
      this.parts.onProblem(error);
      throw away();
    }
  }
}

/** Networks by their names alone: where they lie is the business of the workers. */
function placesOf({ loras, controlNets, t2iAdapters, ipAdapters }: NetworkNames): EngineNetworks {
  const named = (names: readonly string[] = []) => Object.fromEntries(names.map((name) => [name, name]));
  const beside = { controlNets: named(controlNets), t2iAdapters: named(t2iAdapters) };
  return { loras: named(loras), ...beside, ipAdapters: named(ipAdapters) };
}

const away = () => new RequestError(503, 'queue_unavailable', 'the queue cannot be reached now', 5);
const notFound = (what: string) =>
  new RequestError(404, 'not_found', `there is no such ${what}, or it was forgotten`);
const digestOf = (text: string) => createHash('sha256').update(text).digest('hex');

function refusal(outcome: string, found: string): Error {
  if (outcome === 'conflict')
    return new RequestError(409, 'idempotency_conflict', 'the Idempotency-Key was used for another request');
  const words: Readonly<Record<string, string>> = {
    full: `${found} jobs are waiting, which is as many as may; try again later`,
    pending: `${found} jobs of this key are waiting or running, which is as many as it may have`,
    bytes: 'the pictures of waiting requests fill the memory that is set aside for them',
  };
  return new DeepCacheError('ERR_DEEPCACHE_BUSY', words[outcome] ?? messageOf(outcome));
}
