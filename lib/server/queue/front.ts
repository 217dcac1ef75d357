import { setTimeout as sleep } from 'node:timers/promises';
import { invalidArgument } from '../../errors.js';
import type { Log } from '../../log.js';
import { show } from '../../messages.js';
import { checkNames } from '../../names.js';
import { whole } from '../../options/checks.js';
import type { ModelAbout } from '../engine/served-model.js';
import type { Load, ServedModel, SharedQueue } from '../http/engine.js';
import type { DeskListeners, DeskSettings, JobDesk } from '../http/jobs/desk.js';
import { type QueueAddress, resolveAddress } from './address.js';
import { Broker } from './broker.js';
import { connect, loadPackages, whenReady } from './connect.js';
import { type DeskParts, QueueDesk } from './desk.js';
import { Feed } from './feed.js';
import { openResults } from './results/open.js';
import type { ResultStore } from './results/result-store.js';
import { Roster } from './roster.js';
import { Store } from './store.js';
import { told } from './told.js';

/** How a server uses a queue. */
export interface JobQueueOptions extends QueueAddress {
  /**
   * Where pictures are kept, for the workers too: a folder, or `s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME]`, which needs
   * the package `@aws-sdk/client-s3` and has its keys from where AWS's own programs look for them. Default: in Redis.
   */
  readonly results?: string | undefined;
  /** Jobs that may wait; a further one is refused with ERR_DEEPCACHE_BUSY. Default 256. */
  readonly maxQueued?: number | undefined;
  /** What an operator should know; to standard error by default. */
  readonly log?: Log | undefined;
}

const NAMES = ['url', 'prefix', 'caFile', 'results', 'maxQueued', 'log'];
/** Milliseconds between two looks at who is there. */
const REFRESH = 1000;

/**
 * A queue in Redis or Valkey as what stands behind an `ImageServer`: jobs wait there, with their events and results, and
 * processes of `deepcache worker` make the pictures. Any number of servers may share it.
 */
export class JobQueue implements SharedQueue {
  readonly #timer: NodeJS.Timeout;
  #desk: QueueDesk | undefined;

  private constructor(
    private readonly parts: DeskParts,
    prefix: string,
  ) {
    this.countersPrefix = `${prefix}:per-minute:`;
    this.#timer = setInterval(() => void parts.roster.refresh().catch(parts.onProblem), REFRESH);
    this.#timer.unref();
  }

  /** @internal */
  readonly countersPrefix: string;

  /**
   * Connects to a queue.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option, ERR_DEEPCACHE_UNSUPPORTED where bullmq and ioredis
   * are not installed, ERR_DEEPCACHE_BACKEND_UNAVAILABLE where Redis does not answer.
   */
  static async connect(options: JobQueueOptions): Promise<JobQueue> {
    if (typeof options !== 'object' || options === null)
      throw invalidArgument('options', `must be an object, got ${show(options)}`);
    checkNames(options, NAMES);
    const place = resolveAddress(options);
    const maxQueued = whole('maxQueued', options.maxQueued, 256, 1, 1_000_000);
    const { log = (message) => void process.stderr.write(`deepcache: ${message}\n`) } = options;
    const classes = await loadPackages();
    const commands = connect(classes.Redis, place, log);
    const subscriber = connect(classes.Redis, place);
    const onProblem = told(log, () => commands.problem() !== undefined);
    const store = new Store(commands.redis, place.prefix);
    const broker = new Broker(classes, commands.redis, place.prefix, 30_000, onProblem);
    let results: ResultStore | undefined;
    const disconnect = () => {
      void broker.close();
      results?.close?.();
      for (const connection of [commands, subscriber]) connection.close();
    };
    try {
      for (const connection of [commands, subscriber]) await whenReady(connection, place);
      const roster = new Roster(store);
      await roster.refresh();
      results = await openResults(options.results, store);
      const feed = new Feed(subscriber.redis);
      await adviseOn(store, log);
      return new JobQueue(
        {
          ...{ store, broker, feed, results, roster, maxQueued, onProblem, disconnect },
          problem: commands.problem,
        },
        place.prefix,
      );
    } catch (error) {
      disconnect();
      throw error;
    }
  }

  /** The models of the workers that are there; the one that was there first is the first. */
  models(): readonly ServedModel[] {
    return this.parts.roster.models;
  }

  /** What the workers say of a model. */
  async about(model: string): Promise<ModelAbout> {
    const about = this.parts.roster.model(model)?.about;
    if (about) return about;
    throw invalidArgument('model', `${show(model)} is not here`);
  }

  /** How much there is to do, for all workers. */
  stats(): Load {
    return this.parts.roster.load;
  }

  /** @internal */
  absence(model: string | undefined): Error | undefined {
    return this.parts.roster.absence(model);
  }

  /** @internal */
  get counters(): unknown {
    return this.parts.store.redis;
  }

  /** @internal */
  desk(settings: DeskSettings, listeners: DeskListeners): JobDesk {
    this.#desk = new QueueDesk(this.parts, settings, listeners);
    return this.#desk;
  }

  /**
   * Lets the server go: the jobs stay in the queue. With `finish` those are waited for whose callers stay on the line for them;
   * without they are cancelled.
   */
  async close({ finish }: { finish: boolean }): Promise<void> {
    clearInterval(this.#timer);
    if (!this.#desk) return this.parts.disconnect();
    const { wishes } = this.#desk;
    if (!finish) {
      const cancelled = wishes.needed.map((record) => record.cancel().catch(() => {}));
      await Promise.race([Promise.all(cancelled), sleep(5000, undefined, { ref: false })]);
      return;
    }
    await wishes.idle();
  }
}

/** Says so where accepted jobs would be lost with Redis. */
async function adviseOn({ redis }: Store, log: Log): Promise<void> {
  // Where servers are rented, they do not say.
  const said = (await redis.config('GET', 'appendonly').catch(() => [])) as string[];
  if (said[1] === 'no')
    log('Redis keeps no log of what it is told (appendonly no): accepted jobs are lost when it ends');
}
