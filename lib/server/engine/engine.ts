import { DeepCacheError, invalidArgument } from '../../errors.js';
import { show } from '../../messages.js';
import { checkNames } from '../../names.js';
import { checkDevice } from '../../native/device.js';
import { whole } from '../../options/checks.js';
import { checkRequest } from './check-request.js';
import { EngineJob } from './engine-job.js';
import {
  ENGINE_OPTIONS,
  type EngineDevice,
  type EngineModel,
  type EngineOptions,
  type EngineStats,
} from './engine-options.js';
import type { Job, JobRequest } from './job.js';
import { Lane } from './lane.js';
import { laneJob } from './lane-job.js';
import { checkModels } from './model-options.js';
import { lookAtFiles } from './network-files.js';
import { checkNetworks, type EngineNetworks, needsOf } from './networks.js';
import { POLICIES } from './schedule/scheduler.js';
import type { ModelAbout, ModelCard } from './served-model.js';

/**
 * Makes pictures for many: jobs wait in a fair queue, and those that run go side by side and share the passes of their
 * model's U-Net, each at its own step of its own schedule. A picture is the one that its job would have made alone.
 */
export class ImageEngine {
  /** Jobs that are under way at once at most, on all devices. */
  readonly places: number;
  readonly #lanes: readonly Lane[];
  /** Those that wait and run, and the last that ended. */
  readonly #jobs = new Map<string, EngineJob>();
  readonly #ended: string[] = [];
  readonly #counts = { done: 0, failed: 0, cancelled: 0 };
  readonly #networks: EngineNetworks;
  readonly #names: readonly string[];
  /** How many times upscalers enlarge. */
  #scales: ReadonlyMap<string, number> = new Map();
  readonly #limits: { queued: number; ended: number };
  #closing: Promise<void> | undefined;

  constructor(options: EngineOptions) {
    if (typeof options !== 'object' || options === null)
      throw invalidArgument('options', `must be an object, got ${show(options)}`);
    checkNames(options, ENGINE_OPTIONS);
    this.#limits = {
      queued: whole('maxQueued', options.maxQueued, 256, 1, 1_000_000),
      ended: whole('maxEnded', options.maxEnded, 64, 0, 1_000_000),
    };
    checkNetworks(options.networks ?? {});
    this.#networks = structuredClone(options.networks ?? {});
    const models = checkModels(options.models ?? {});
    this.#names = [...models.keys()];
    const own = {
      models,
      // Each has a thread while it runs.
      places: whole('maxRunning', options.maxRunning, 16, 1, 48),
      maxLoaded: whole('maxLoaded', options.maxLoaded, models.size, 1, 1_000_000),
      log: options.log,
      networks: this.#networks,
      policy: options.policy ?? POLICIES[0],
    };
    if (!POLICIES.includes(own.policy))
      throw invalidArgument('policy', `must be one of ${POLICIES.join(', ')}, got ${show(own.policy)}`);
    const { devices = [undefined] } = options;
    if (!Array.isArray(devices) || devices.length === 0)
      throw invalidArgument('devices', `must be a list of devices, got ${show(devices)}`);
    for (const [i, device] of devices.entries())
      if (device !== undefined) checkDevice(`devices[${i}]`, device);
    this.places = own.places * devices.length;
    this.#lanes = devices.map((device) => new Lane({ ...own, device }, () => this.#fill()));
  }

  /**
   * Accepts a job, after its options were checked as its pipeline checks them.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the field or option, ERR_DEEPCACHE_UNSUPPORTED for a task
   * that the model is not made for, ERR_DEEPCACHE_BUSY when as many wait as may, ERR_DEEPCACHE_DISPOSED after close().
   */
  async submit(request: JobRequest): Promise<Job> {
    this.#requireRoom();
    checkRequest(request);
    const { model, task, previewEvery } = request;
    const served = this.#anyLane.models.named(model);
    const { options: given, needs } = needsOf(request, this.#networks);
    const options = await served.complete(given);
    const previews = previewEvery === undefined ? {} : { previewEvery };
    const checked = await served.check(task, { ...options, ...previews });
    // Others came while its files were looked at.
    this.#requireRoom();
    const lane = this.#bestLane(model);
    const job = new EngineJob(
      request,
      () => this.#outlook(job),
      () => this.#lanes.some(({ scheduler }) => scheduler.withdraw(job.id) !== undefined),
      Date.now(),
      { steps: checked.options.steps, calls: checked.plan.compiled.timesteps.length },
    );
    lane.submit(laneJob(job, checked, options, needs));
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
    const { loras, controlNets, t2iAdapters, ipAdapters, embeddings, upscalers } = this.#networks;
    const names = (files: object = {}) => Object.keys(files);
    const shared = {
      loras: names(loras),
      controlNets: names(controlNets),
      t2iAdapters: names(t2iAdapters),
      ipAdapters: names(ipAdapters),
      embeddings: names(embeddings),
      upscalers: names(upscalers).map((name) => {
        const scale = this.#scales.get(name);
        return { name, ...(scale !== undefined && { scale }) };
      }),
    };
    return this.#names.map((name) => ({
      name,
      loaded: this.#lanes.some(({ models }) => models.named(name).isLoaded),
      ...shared,
    }));
  }

  /**
   * Looks at the files of all networks, so that one that is none is found before a job names it.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the network.
   */
  async lookAtNetworks(): Promise<void> {
    this.#scales = await lookAtFiles(this.#networks);
  }

  /**
   * What is known of a model without its weights: its class, sizes and defaults.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a name that is none; what reading its configurations throws.
   */
  card(model: string): Promise<ModelCard> {
    return this.#anyLane.models.named(model).card();
  }

  /** The same in a form for people: sizes, defaults, and what the cache saves. */
  about(model: string): Promise<ModelAbout> {
    return this.#anyLane.models.named(model).about();
  }

  /** Loads a model on every device now, so that its first job need not wait for it. */
  async load(model: string): Promise<void> {
    for (const { models } of this.#lanes) await models.pipeline(models.named(model), 'text-to-image');
  }

  /** What there is to do now, and was done so far. */
  stats(): EngineStats {
    const sum = (of: (lane: Lane) => number) => this.#lanes.reduce((total, lane) => total + of(lane), 0);
    const times = this.#lanes.map((lane) => lane.allSecondsLeft);
    const known = times.filter((time) => time !== undefined);
    return {
      queued: this.#queued,
      running: sum(({ running }) => running),
      ...(known.length > 0 && { secondsLeft: Math.max(...known) }),
      ...this.#counts,
      passes: sum(({ counts }) => counts.passes),
      samples: sum(({ counts }) => counts.samples),
    };
  }

  /** The devices on which models were loaded so far. */
  devices(): EngineDevice[] {
    return this.#lanes.flatMap((lane) => lane.about() ?? []);
  }

  /** Accepts no more jobs, finishes those that it has or cancels them, and frees the models. */
  close({ finish = false }: { finish?: boolean } = {}): Promise<void> {
    this.#closing ??= this.#close();
    if (!finish) for (const job of this.#jobs.values()) job.cancel();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // What waits begins when something ends.
    while (this.#lanes.some(({ running }) => running > 0)) for (const lane of this.#lanes) await lane.idle();
    for (const lane of this.#lanes) await lane.close();
  }

  /** What is the same of all. */
  get #anyLane(): Lane {
    return this.#lanes[0] as Lane;
  }

  get #queued(): number {
    return this.#lanes.reduce((sum, { scheduler }) => sum + scheduler.waiting, 0);
  }

  /** The lane with the least to do; among those that have nothing, one that has loaded the model. */
  #bestLane(model: string): Lane {
    const cost = (lane: Lane) => lane.scheduler.load + (lane.models.named(model).isLoaded ? 0 : 1e-9);
    return this.#lanes.reduce((best, lane) => (cost(lane) < cost(best) ? lane : best));
  }

  #fill(): void {
    for (const lane of this.#lanes) lane.fill();
    for (const lane of this.#lanes) {
      if (lane.running > 0) continue;
      const other = this.#lanes.find(({ scheduler }) => scheduler.waiting > 0);
      if (!other) return;
      lane.steal(other);
      lane.fill();
    }
  }

  #requireRoom(): void {
    if (this.#closing) throw new DeepCacheError('ERR_DEEPCACHE_DISPOSED', 'The engine was closed');
    if (this.#queued < this.#limits.queued) return;
    throw new DeepCacheError(
      'ERR_DEEPCACHE_BUSY',
      `${this.#queued} jobs are waiting, which is maxQueued; try again later`,
    );
  }

  #outlook(job: EngineJob): { position: number; secondsLeft?: number } {
    for (const lane of this.#lanes) {
      const order = lane.scheduler.order(Date.now());
      const position = order.findIndex(({ id }) => id === job.id) + 1;
      const secondsLeft = lane.secondsLeft(job.id, job.request.model, order);
      if (position > 0 || secondsLeft !== undefined)
        return { position, ...(secondsLeft !== undefined && { secondsLeft }) };
    }
    return { position: 0 };
  }

  /** Counts a job that has ended, and forgets those that ended long ago. */
  #count(job: EngineJob): void {
    this.#counts[job.state as 'done' | 'failed' | 'cancelled']++;
    this.#ended.push(job.id);
    while (this.#ended.length > this.#limits.ended) this.#jobs.delete(this.#ended.shift() as string);
  }
}
