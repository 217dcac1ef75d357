import { DeepCacheError, invalidArgument } from '../../errors.js';
import type { Log } from '../../log.js';
import { show } from '../../messages.js';
import type { AnyPipeline } from '../../pipelines/diffusion-pipeline.js';
import type { Task } from './job.js';
import type { ModelOptions } from './model-options.js';
import type { EngineNetworks } from './networks.js';
import { ServedModel } from './served-model.js';

/** The models of a device: as many loaded as may be, or as memory has room for; the least recently used one goes first. */
export class ModelPool {
  /** The most recently used last. */
  readonly #models = new Map<string, ServedModel>();
  readonly #users = new Map<ServedModel, number>();
  readonly #most: number;
  /** Loading one after the other, each sees what the one before left. */
  #loading: Promise<unknown> = Promise.resolve();

  constructor({
    models,
    device,
    maxLoaded,
    log,
    networks,
  }: {
    readonly models: ReadonlyMap<string, ModelOptions>;
    readonly device: string | undefined;
    readonly maxLoaded: number;
    readonly log: Log | undefined;
    readonly networks?: EngineNetworks | undefined;
  }) {
    this.#most = maxLoaded;
    for (const [name, options] of models) {
      const own = device === undefined ? options : ({ ...options, device } as ModelOptions);
      this.#models.set(name, new ServedModel(name, own, log, networks));
    }
  }

  get list(): readonly ServedModel[] {
    return [...this.#models.values()];
  }

  /** Throws ERR_DEEPCACHE_INVALID_ARGUMENT for a name that is none. */
  named(name: string): ServedModel {
    const model = this.#models.get(name);
    if (model) return model;
    throw invalidArgument(
      'model',
      `${show(name)} is not here; there are ${[...this.#models.keys()].join(', ')}`,
    );
  }

  /** Whether a job may use a model besides those that are in use: others can go for it. */
  hasRoom(name: string): boolean {
    return this.#users.has(this.named(name)) || this.#users.size < this.#most;
  }

  /** A job begins that uses it. */
  enter(name: string): ServedModel {
    const model = this.named(name);
    this.#users.set(model, (this.#users.get(model) ?? 0) + 1);
    this.#models.delete(name);
    this.#models.set(name, model);
    return model;
  }

  leave(model: ServedModel): void {
    const users = (this.#users.get(model) ?? 1) - 1;
    if (users > 0) this.#users.set(model, users);
    else this.#users.delete(model);
  }

  /** The pipeline of a task; where its model is not loaded others may have to go for it. */
  async pipeline(model: ServedModel, task: Task): Promise<AnyPipeline> {
    if (model.isLoaded) return model.pipeline(task);
    const loading = this.#loading.then(() => this.#load(model, task));
    this.#loading = loading.catch(() => {});
    return loading;
  }

  async close(): Promise<void> {
    for (const model of this.#models.values()) await model.unload();
  }

  async #load(model: ServedModel, task: Task): Promise<AnyPipeline> {
    while (!model.isLoaded && this.list.filter(({ isLoaded }) => isLoaded).length >= this.#most) {
      if (!(await this.#unloadOne())) break;
    }
    for (;;) {
      try {
        return await model.pipeline(task);
      } catch (error) {
        const full = error instanceof DeepCacheError && error.code === 'ERR_DEEPCACHE_OUT_OF_MEMORY';
        if (!full || !(await this.#unloadOne())) throw error;
      }
    }
  }

  /** False: all are in use. */
  async #unloadOne(): Promise<boolean> {
    const idle = this.list.find((model) => model.isLoaded && !this.#users.has(model));
    await idle?.unload();
    return idle !== undefined;
  }
}
