import { DeepCacheError, invalidArgument } from '../../errors.js';
import type { Log } from '../../log.js';
import { show } from '../../messages.js';
import { checkNames } from '../../names.js';
import { whole } from '../../options/checks.js';
import type { GenerateOptions } from '../../pipelines/inputs/options.js';
import { checkRequest, deadlineOf } from './check-request.js';
import { EngineJob } from './engine-job.js';
import { FairQueue, type Waiting } from './fair-queue.js';
import type { Job, JobRequest } from './job.js';
import { type ModelCard, type ModelOptions, ServedModel } from './served-model.js';

/** What an {@link ImageEngine} is made with. */
export interface EngineOptions {
  /** The models by the names that requests use: a place that `fromPretrained` takes, alone or with load options. */
  readonly models: Readonly<Record<string, string | ModelOptions>>;
  /** Jobs that may wait; a further one is refused with ERR_DEEPCACHE_BUSY. Default 256. */
  readonly maxQueued?: number;
  /** Jobs that run at once, and share U-Net passes. Default 8. */
  readonly maxRunning?: number;
  /** Ended jobs that {@link ImageEngine.job} still finds, with their results; the oldest are forgotten. Default 64. */
  readonly maxEnded?: number;
  /** What a user should know about a model; to standard error by default. */
  readonly log?: Log;
}

/** What an engine does and did. */
export interface EngineStats {
  /** Jobs that wait. */
  readonly queued: number;
  /** Jobs that run. */
  readonly running: number;
  /** Jobs that were finished so far. */
  readonly done: number;
  /** Jobs that went wrong so far. */
  readonly failed: number;
  /** Jobs that were cancelled so far. */
  readonly cancelled: number;
}

/** A model of an engine. */
export interface EngineModel {
  /** What requests call it. */
  readonly name: string;
  /** Whether its weights are in memory. */
  readonly loaded: boolean;
}

interface Entry extends Waiting {
  readonly job: EngineJob;
  readonly model: ServedModel;
}

/**
 * Makes pictures for many: jobs wait in a fair queue, and those that run go side by side and share the passes of their
 * model's U-Net, each at its own step of its own schedule. A picture is the one that its job would have made alone.
 */
export class ImageEngine {
  readonly #models: ReadonlyMap<string, ServedModel>;
  readonly #queue = new FairQueue<Entry>();
  readonly #running = new Map<string, Promise<void>>();
  /** Those that wait and run, and the last that ended. */
  readonly #jobs = new Map<string, EngineJob>();
  readonly #ended: string[] = [];
  readonly #counts = { done: 0, failed: 0, cancelled: 0 };
  readonly #limits: { queued: number; running: number; ended: number };
  #closing: Promise<void> | undefined;

  constructor(options: EngineOptions) {
    if (typeof options !== 'object' || options === null)
      throw invalidArgument('options', `must be an object, got ${show(options)}`);
    checkNames(options, ['models', 'maxQueued', 'maxRunning', 'maxEnded', 'log']);
    this.#limits = {
      queued: whole('maxQueued', options.maxQueued, 256, 1, 1_000_000),
      running: whole('maxRunning', options.maxRunning, 8, 1, 512),
      ended: whole('maxEnded', options.maxEnded, 64, 0, 1_000_000),
    };
    this.#models = new Map(
      Object.entries(options.models ?? {}).map(([name, given]) => {
        const own = typeof given === 'string' ? { model: given } : given;
        return [name, new ServedModel(name, own, options.log)];
      }),
    );
    if (this.#models.size === 0) throw invalidArgument('models', 'names none');
  }

  /**
   * Accepts a job, after its options were checked as its pipeline checks them.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the field or option, ERR_DEEPCACHE_UNSUPPORTED for a task
   * that the model is not made for, ERR_DEEPCACHE_BUSY when as many wait as may, ERR_DEEPCACHE_DISPOSED after close().
   */
  async submit(request: JobRequest): Promise<Job> {
    this.#requireRoom();
    const model = this.#modelOf(request);
    const { client = '', priority = 0 } = request;
    const deadline = deadlineOf(request);
    const { plan } = await model.check(request.task, { ...request.options, ...previewsOf(request) });
    // Others came while its files were looked at.
    this.#requireRoom();
    const job = new EngineJob(
      request,
      () => this.#outlook(job),
      () => this.#queue.remove(job.id),
      Date.now(),
    );
    const cost = plan.table.rows.length;
    const times = deadline === undefined ? {} : { deadline };
    this.#queue.add({ id: job.id, client, priority, cost, job, model, ...times });
    this.#jobs.set(job.id, job);
    job.result.then(
      () => this.#count(job),
      () => this.#count(job),
    );
    job.tellOutlook();
    this.#fill();
    return job;
  }

  /** A job that waits or runs, or ended lately. */
  job(id: string): Job | undefined {
    return this.#jobs.get(id);
  }

  /** In the order in which they were given. */
  models(): EngineModel[] {
    return [...this.#models.values()].map(({ name, isLoaded }) => ({ name, loaded: isLoaded }));
  }

  /**
   * What is known of a model without its weights: its class, sizes and defaults.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a name that is none; what reading its configurations throws.
   */
  card(model: string): Promise<ModelCard> {
    return this.#modelNamed(model).card();
  }

  /** Loads a model now, so that its first job need not wait for it. */
  async load(model: string): Promise<void> {
    await this.#modelNamed(model).pipeline('text-to-image');
  }

  /** What there is to do now, and was done so far. */
  stats(): EngineStats {
    return { queued: this.#queue.length, running: this.#running.size, ...this.#counts };
  }

  /** Accepts no more jobs, finishes those that it has or cancels them, and frees the models. */
  close({ finish = false }: { finish?: boolean } = {}): Promise<void> {
    this.#closing ??= this.#close();
    if (!finish) for (const job of this.#jobs.values()) job.cancel();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // What waits begins when something ends.
    while (this.#running.size > 0) await Promise.race(this.#running.values());
    for (const model of this.#models.values()) await model.unload();
  }

  #fill(): void {
    while (this.#running.size < this.#limits.running) {
      const next = this.#queue.take(() => true);
      if (!next) return;
      const running = this.#run(next).finally(() => {
        this.#running.delete(next.id);
        this.#fill();
      });
      this.#running.set(next.id, running);
    }
  }

  async #run({ job, model }: Entry): Promise<void> {
    const { task, options } = job.request;
    job.begin();
    try {
      const pipeline = await model.pipeline(task);
      const run = {
        ...options,
        ...previewsOf(job.request),
        signal: job.signal,
        onStep: (event: Parameters<EngineJob['step']>[0]) => job.step(event),
      };
      job.finish(await pipeline.generateJoined(run as GenerateOptions & { prompt: string }));
    } catch (error) {
      job.fail(error);
    }
  }

  #modelOf(request: JobRequest): ServedModel {
    checkRequest(request);
    return this.#modelNamed(request.model);
  }

  #modelNamed(name: string): ServedModel {
    const model = this.#models.get(name);
    if (model) return model;
    throw invalidArgument(
      'model',
      `${show(name)} is not here; there are ${[...this.#models.keys()].join(', ')}`,
    );
  }

  #requireRoom(): void {
    if (this.#closing) throw new DeepCacheError('ERR_DEEPCACHE_DISPOSED', 'The engine was closed');
    if (this.#queue.length < this.#limits.queued) return;
    throw new DeepCacheError(
      'ERR_DEEPCACHE_BUSY',
      `${this.#queue.length} jobs are waiting, which is maxQueued; try again later`,
    );
  }

  #outlook(job: EngineJob): { position: number } {
    return { position: this.#queue.order().findIndex(({ id }) => id === job.id) + 1 };
  }

  /** Counts a job that has ended, and forgets those that ended long ago. */
  #count(job: EngineJob): void {
    this.#counts[job.state as 'done' | 'failed' | 'cancelled']++;
    this.#ended.push(job.id);
    while (this.#ended.length > this.#limits.ended) this.#jobs.delete(this.#ended.shift() as string);
  }
}

const previewsOf = ({ previewEvery }: JobRequest) => (previewEvery === undefined ? {} : { previewEvery });
