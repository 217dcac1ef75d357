import type { Job, Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';

/** Those that wait, and the one that is next, in BullMQ's order: smaller numbers go first. */
const WAITING = 2;
const NEXT = 1;

interface Classes {
  readonly Queue: typeof Queue;
  readonly Worker: typeof Worker;
}

/** BullMQ's part: a queue for each model, in which a job is no more than its id. Its locks tell which worker has it. */
export class Broker {
  readonly #queues = new Map<string, Queue>();
  readonly #workers = new Map<string, Worker>();

  constructor(
    private readonly classes: Classes,
    private readonly redis: Redis,
    private readonly prefix: string,
    private readonly lockMilliseconds: number,
    private readonly onError: (error: Error) => void,
  ) {}

  /** Adds a job; one that is there is there once. */
  async add(model: string, id: string): Promise<void> {
    const keep = { removeOnComplete: true, removeOnFail: true };
    await this.#queue(model).add('run', {}, { jobId: id, priority: WAITING, ...keep });
  }

  /** A job goes before all others of its model. */
  async promote(model: string, id: string): Promise<void> {
    const job = await this.#queue(model).getJob(id);
    await job?.changePriority({ priority: NEXT }).catch(() => {});
  }

  /** Takes a job that waits away; one that a worker has stays. */
  async remove(model: string, id: string): Promise<void> {
    const job = await this.#queue(model).getJob(id);
    // Its worker ends it.
    await job?.remove().catch(() => {});
  }

  /** Looks from now on for jobs whose workers have gone. */
  async watch(model: string): Promise<void> {
    await this.#worker(model).startStalledCheckTimer();
  }

  /** The next job of a model, locked with a token; undefined when none waits. */
  async next(model: string, token: string): Promise<Job | undefined> {
    return (await this.#worker(model).getNextJob(token, { block: false })) ?? undefined;
  }

  /** The key of a job's lock, which holds the token of who has it. */
  lockOf(model: string, id: string): string {
    return this.#queue(model).toKey(`${id}:lock`);
  }

  async close(): Promise<void> {
    const all = [...this.#workers.values(), ...this.#queues.values()];
    await Promise.allSettled(all.map((one) => ('getNextJob' in one ? one.close(true) : one.close())));
  }

  #queue(model: string): Queue {
    let queue = this.#queues.get(model);
    if (!queue) {
      queue = new this.classes.Queue(nameOf(model), { connection: this.redis as never, prefix: this.prefix });
      queue.on('error', this.onError);
      this.#queues.set(model, queue);
    }
    return queue;
  }

  #worker(model: string): Worker {
    let worker = this.#workers.get(model);
    if (!worker) {
      worker = new this.classes.Worker(nameOf(model), null, {
        ...{ connection: this.redis as never, prefix: this.prefix, autorun: false },
        lockDuration: this.lockMilliseconds,
        stalledInterval: Math.max(500, Math.round(this.lockMilliseconds / 3)),
        // How often a job may be begun is counted with its attempts.
        maxStalledCount: 1_000_000,
      });
      worker.on('error', this.onError);
      this.#workers.set(model, worker);
    }
    return worker;
  }
}

/** No colon, which separates the parts of keys. */
const nameOf = (model: string) => `run-${encodeURIComponent(model)}`;
