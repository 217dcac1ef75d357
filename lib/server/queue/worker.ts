import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { invalidArgument, messageOf } from '../../errors.js';
import type { Log } from '../../log.js';
import { show } from '../../messages.js';
import { checkNames } from '../../names.js';
import { seconds as checkSeconds, whole } from '../../options/checks.js';
import type { ImageEngine } from '../engine/engine.js';
import { type QueueAddress, resolveAddress } from './address.js';
import { Broker } from './broker.js';
import { type Connection, connect, loadPackages, whenReady } from './connect.js';
import { Feed, News } from './feed.js';
import { openResults } from './results/open.js';
import type { ResultStore } from './results/result-store.js';
import { Run, type RunParts } from './run.js';
import { Store } from './store.js';
import { told } from './told.js';

/** How a worker of a queue behaves. */
export interface QueueWorkerOptions extends QueueAddress {
  /**
   * Where pictures are kept, for the servers too: a folder, or `s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME]`, which needs
   * the package `@aws-sdk/client-s3` and has its keys from where AWS's own programs look for them. Default: in Redis.
   */
  readonly results?: string | undefined;
  /** Jobs that it has at once. Default: as many as its engine runs on all devices, since more would only wait here. */
  readonly places?: number | undefined;
  /** How often a job may be begun, by all workers together, where workers die of it. Default 3. */
  readonly maxAttempts?: number | undefined;
  /** Seconds without a sign of life after which others take a worker's jobs. Default 30. */
  readonly lockSeconds?: number | undefined;
  /** What an operator should know; to standard error by default. */
  readonly log?: Log | undefined;
}

const NAMES = ['url', 'prefix', 'caFile', 'results', 'places', 'maxAttempts', 'lockSeconds', 'log'];

/** Milliseconds after which it looks for jobs though nobody said that there are any. */
const LOOK_AGAIN = 1000;
/** Milliseconds between two signs of life. */
const BEAT = 2000;
/** Milliseconds that a worker leaves others time to take a job, for each that it has itself. */
const COURTESY = [20, 300] as const;

/** Takes jobs from a queue in Redis, and runs them in an engine, side by side as it runs its own. */
export class QueueWorker {
  readonly #id = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
  readonly #runs = new Map<string, { run: Run; ended: Promise<void> }>();
  readonly #work = new News(() => {});
  readonly #parts: RunParts;
  readonly #models: readonly string[];
  #isClosing = false;
  #beats: NodeJS.Timeout | undefined;
  #loop: Promise<void> | undefined;

  private constructor(
    private readonly engine: ImageEngine,
    private readonly store: Store,
    private readonly broker: Broker,
    private readonly connections: readonly Connection[],
    parts: Pick<RunParts, 'results' | 'lockMilliseconds' | 'maxAttempts'>,
    private readonly onProblem: (error: unknown) => void,
    private readonly places: number,
    log: Log,
  ) {
    this.#models = engine.models().map(({ name }) => name);
    this.#parts = {
      ...{ ...parts, store, broker },
      submit: (request) => engine.submit(request),
      namesOf: (model) => engine.models().find(({ name }) => name === model) ?? {},
      onProblem: (id, error) => log(`job ${id}: ${messageOf(error)}`),
    };
  }

  /**
   * Connects, and begins to take jobs.
   *
   * @param engine with the models that jobs may ask for; it is not closed with the worker.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option, ERR_DEEPCACHE_UNSUPPORTED where bullmq and ioredis
   * are not installed, ERR_DEEPCACHE_BACKEND_UNAVAILABLE where Redis does not answer.
   */
  static async start(engine: ImageEngine, options: QueueWorkerOptions): Promise<QueueWorker> {
    if (typeof options !== 'object' || options === null)
      throw invalidArgument('options', `must be an object, got ${show(options)}`);
    checkNames(options, NAMES);
    const place = resolveAddress(options);
    const places = whole('places', options.places, engine.places, 1, 1000);
    const maxAttempts = whole('maxAttempts', options.maxAttempts, 3, 1, 100);
    const lockMilliseconds = 1000 * whole('lockSeconds', options.lockSeconds, 30, 1, 3600);
    const { log = (message) => void process.stderr.write(`deepcache: ${message}\n`) } = options;
    const classes = await loadPackages();
    const commands = connect(classes.Redis, place, log);
    const onProblem = told(log, () => commands.problem() !== undefined);
    const subscriber = connect(classes.Redis, place);
    const connections = [commands, subscriber];
    let results: ResultStore | undefined;
    try {
      for (const connection of connections) await whenReady(connection, place);
      const store = new Store(commands.redis, place.prefix);
      const broker = new Broker(classes, commands.redis, place.prefix, lockMilliseconds, onProblem);
      results = await openResults(options.results, store);
      const parts = { results, lockMilliseconds, maxAttempts };
      const worker = new QueueWorker(engine, store, broker, connections, parts, onProblem, places, log);
      await worker.#begin(new Feed(subscriber.redis));
      return worker;
    } catch (error) {
      results?.close?.();
      for (const connection of connections) connection.close();
      throw error;
    }
  }

  /** Jobs that it has now. */
  get running(): number {
    return this.#runs.size;
  }

  /**
   * Takes no more jobs, finishes those it has, gives those back that are not done in time, and leaves.
   *
   * @param how seconds that it waits for them: 30 by default.
   */
  async close(how: { seconds?: number } = {}): Promise<void> {
    const seconds = checkSeconds('seconds', how.seconds, 30);
    this.#isClosing = true;
    this.#work.wake();
    clearInterval(this.#beats);
    await this.#loop;
    await this.store.redis.hdel(this.store.key('workers'), this.#id).catch(() => {});
    await this.store.redis.zrem(this.store.key('beats'), this.#id).catch(() => {});
    const ended = Promise.all([...this.#runs.values()].map((one) => one.ended));
    await Promise.race([ended, sleep(1000 * seconds, undefined, { ref: false })]);
    await Promise.all([...this.#runs.values()].map(({ run }) => run.giveBack()));
    await Promise.race([ended, sleep(10_000, undefined, { ref: false })]);
    await this.broker.close();
    for (const connection of this.connections) connection.close();
    this.#parts.results.close?.();
  }

  async #begin(feed: Feed): Promise<void> {
    feed.on(this.store.key('work'), () => this.#work.wake());
    feed.on(this.store.key('stop'), (id) => this.#runs.get(id)?.run.stop());
    for (const model of this.#models) await this.broker.watch(model);
    await this.#beat();
    this.#beats = setInterval(() => void this.#beat().catch(() => {}), BEAT);
    this.#loop = this.#take();
  }

  async #beat(): Promise<void> {
    const { running, passes, samples, secondsLeft } = this.engine.stats();
    const said = { models: this.#models, running, places: this.places, passes, samples, secondsLeft };
    const cards: string[] = [];
    for (const { loaded: _, name, ...names } of this.engine.models()) {
      const [card, about] = [await this.engine.card(name), await this.engine.about(name)];
      cards.push(name, JSON.stringify({ card, about, names }));
    }
    await this.store.run('beat', this.#id, JSON.stringify(said), ...cards);
  }

  /** Takes jobs while there is room. */
  async #take(): Promise<void> {
    while (!this.#isClosing) {
      let hasTaken = false;
      try {
        if (this.#runs.size < this.places) hasTaken = await this.#takeOne();
      } catch (error) {
        // Redis is away, mostly: it is asked again.
        this.onProblem(error);
      }
      if (!hasTaken && !this.#isClosing) await this.#work.next(LOOK_AGAIN);
    }
  }

  async #takeOne(): Promise<boolean> {
    // Who has nothing to do goes first.
    if (this.#runs.size > 0) await sleep(Math.min(COURTESY[0] * this.#runs.size, COURTESY[1]));
    if (this.#isClosing) return false;
    const [picked, id] = await this.store.run<string[]>('pick', ...this.#models);
    if (picked !== undefined && id !== undefined) await this.broker.promote(picked, id);
    // Without one that waits there may be some whose workers have gone.
    for (const model of picked === undefined ? this.#models : [picked]) {
      const token = randomUUID();
      const ticket = await this.broker.next(model, token);
      if (!ticket) continue;
      const run = new Run(this.#parts, model, ticket, token);
      const ended = run.go().finally(() => {
        if (this.#runs.get(run.id)?.run === run) this.#runs.delete(run.id);
        this.#work.wake();
      });
      // An attempt of ours whose lock was lost may be going on: the new one stops it.
      this.#runs.get(run.id)?.run.stop();
      this.#runs.set(run.id, { run, ended });
      return true;
    }
    return false;
  }
}
