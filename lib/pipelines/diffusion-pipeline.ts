import { Callbacks } from '../callbacks.js';
import { DeepCacheError } from '../errors.js';
import { checkPasses, runPasses } from '../hires/second-pass.js';
import { loadSharp } from '../images/sharp.js';
import { resolveNames } from '../library/resolve-options.js';
import { defaultLog, type Log, printableLog } from '../log.js';
import type { UNetModel } from '../models/unet.js';
import { withMemoryOfRun } from '../native/run-memory.js';
import { checkOptions } from '../options/check.js';
import type { Valid } from '../options/valid.js';
import type { ModelPlans } from '../plans/model-plans.js';
import type { PlannedRun } from '../plans/saved-plan.js';
import type { Scheduler } from '../schedulers/index.js';
import { CallQueue } from './call-queue.js';
import { type AnyFamily, refuseNetworks, requireParts, shortRun } from './family.js';
import { NoiseSource } from './inputs/noise.js';
import type { GenerateOptions } from './inputs/options.js';
import { aboutModel } from './loading/about-model.js';
import { withDefaults } from './loading/generation-config.js';
import { classAt, readModelIndex } from './loading/model-index.js';
import type { ModelName } from './loading/model-name.js';
import { checkMotionAdapter } from './loading/motion-parts.js';
import type { GenerationDefaults, LoadOptions, ModelIndex, PipelineParts } from './loading/parts.js';
import { requirePipeline } from './loading/registry.js';
import type { Conductor } from './loop/conductor.js';
import type { GenerateResult, OutputKind } from './outputs/result.js';
import { plannableRun } from './run.js';
import { type StreamEvent, streamOf } from './stream.js';

// biome-ignore lint/suspicious/noExplicitAny: pipelines differ in their options and parts
export type AnyPipeline = DiffusionPipeline<any, any>;

/** Of a folder whose class nobody knows yet: text to image, until `instanceof` narrows it. */
type Loaded<T extends AnyPipeline> = 0 extends 1 & Parameters<T['generate']>[0] ? DiffusionPipeline : T;

/**
 * A loaded model folder and the way its parts work together. Load one with {@link DiffusionPipeline.fromPretrained},
 * free it with `dispose` or `await using`. A pipeline runs one job at a time; further calls wait for their turn.
 */
export abstract class DiffusionPipeline<
  Options extends GenerateOptions = GenerateOptions,
  Parts extends PipelineParts = PipelineParts,
> {
  /** What the class is made of. */
  static readonly family: AnyFamily;

  /** diffusers' name of the class. */
  static get className(): string {
    // biome-ignore lint/complexity/noThisInStatic: the class that it was called on is asked
    return this.family?.className ?? 'DiffusionPipeline';
  }

  /** The sampler; may be replaced between runs. */
  scheduler: Scheduler;
  readonly #queue = new CallQueue();

  constructor(
    protected readonly components: Parts,
    protected readonly log: Log = defaultLog,
  ) {
    this.scheduler = components.scheduler;
    components.models.share();
  }

  /**
   * Another pipeline over the models of a loaded one, such as `StableDiffusionImg2ImgPipeline.from(pipe)`. Both can be
   * used; the models are freed when both are disposed.
   */
  static from<T extends AnyPipeline>(
    this: (new (
      // biome-ignore lint/suspicious/noExplicitAny: pipelines differ in their parts
      components: any,
      log?: Log,
    ) => T) & { readonly family: AnyFamily },
    pipeline: AnyPipeline,
  ): T {
    pipeline.requireOpen();
    // biome-ignore lint/complexity/noThisInStatic: the class that it was called on decides what is made
    requireParts(this.family, pipeline.components, pipeline.family);
    const made = new this(pipeline.components, pipeline.log);
    made.scheduler = pipeline.scheduler;
    made.maxPending = pipeline.maxPending;
    return made;
  }

  /**
   * Loads a folder in the diffusers layout, or a single file with all parts of a published model. Called on
   * DiffusionPipeline it makes the pipeline that the folder's model_index.json names, or that the file's weights are for;
   * called on a pipeline's class it makes that one. A generation_config.json in the folder holds defaults of the model's
   * own for `generate`, see {@link DiffusionPipeline.defaults}.
   *
   * @param model the folder or file, or a place from which {@link locateModel} finds it; `'demo'` is the small model that
   * comes with the package; a name in `modelsDir`; a name on the Hugging Face Hub, `'org/name'`.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG, ERR_DEEPCACHE_INVALID_WEIGHTS, ERR_DEEPCACHE_UNSUPPORTED (a
   * pipeline that is not implemented), ERR_DEEPCACHE_BACKEND_UNAVAILABLE, ERR_DEEPCACHE_OUT_OF_MEMORY, ERR_DEEPCACHE_DOWNLOAD
   */
  static async fromPretrained<T extends AnyPipeline>(
    // biome-ignore lint/suspicious/noExplicitAny: pipelines differ in their parts
    this: (abstract new (components: any, log?: Log) => T) & { readonly className: string },
    model: string,
    options: LoadOptions = {},
  ): Promise<Loaded<T>> {
    checkOptions('load', options);
    options.signal?.throwIfAborted();
    const { path, remark, load } = await resolveNames(model, options, classAt);
    const index = await readModelIndex(path, load);
    // biome-ignore lint/complexity/noThisInStatic: the class that it was called on decides what is made
    const own = this.className === DiffusionPipeline.className ? index.className : this.className;
    const pipeline = requirePipeline(own, index.source.place);
    checkMotionAdapter(own, load);
    // Loading it takes a moment in one go, which would later be felt at the first picture.
    const pictures = loadSharp().catch(() => undefined);
    const callbacks = new Callbacks();
    const log: Log = (message) => callbacks.run(() => printableLog(options.log)(message));
    for (const text of [remark ?? [], index.remarks ?? []].flat()) log(text);
    const about = await aboutModel(index, pipeline.family.recommended, log, options.signal);
    const parts = await pipeline.family.loadParts({ ...index, className: own }, { ...load, log });
    const loaded = new pipeline({ ...parts, ...about }, options.log) as T;
    loaded.maxPending = options.maxPending ?? loaded.maxPending;
    try {
      loaded.family.checkParts?.(loaded.components, index.source.place);
      await loaded.loadExtras(index, { ...load, log });
      await callbacks.settled(options.signal);
      await pictures;
    } catch (error) {
      await loaded.dispose();
      throw error;
    }
    return loaded as unknown as Loaded<T>;
  }

  /** What the class is made of. */
  protected get family(): AnyFamily {
    return (this.constructor as unknown as { readonly family: AnyFamily }).family;
  }

  /** The U-Net: its size, its branches and what they cost. */
  get unet(): UNetModel {
    return this.components.unet;
  }

  /** What the model's folder recommends: these options of `generate` have such defaults instead of the usual ones. */
  get defaults(): GenerationDefaults {
    return this.components.defaults ?? {};
  }

  /** What distinguishes the model from others: the settings in pictures name it; undefined for parts of your own. */
  get model(): ModelName | undefined {
    return this.components.model;
  }

  /** What presets of the cache stand for where `deepcache tune` looked; undefined for parts of your own. */
  get plans(): ModelPlans | undefined {
    return this.components.plans;
  }

  /** Where it runs: 'cpu' or 'cuda:0'. */
  get device(): string {
    return this.components.backend.device;
  }

  /**
   * Makes images.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option, ERR_DEEPCACHE_OUT_OF_MEMORY before
   * anything is allocated, ERR_DEEPCACHE_BUSY (see {@link DiffusionPipeline.maxPending}), ERR_DEEPCACHE_DISPOSED; the
   * signal's reason after an abort, at once when the call waits for its turn. The pipeline stays usable.
   */
  generate<Output extends OutputKind = 'image'>(
    given: Valid<Options> & { output?: Output },
  ): Promise<GenerateResult<Output>> {
    return this.#generate(given) as Promise<GenerateResult<Output>>;
  }

  /** @internal The same beside other calls, with which it shares passes of the U-Net as the conductor says. */
  generateJoined(given: Valid<Options>, conductor: Conductor): Promise<GenerateResult> {
    return this.#generate(given, conductor);
  }

  async #generate(given: Valid<Options>, conductor?: Conductor): Promise<GenerateResult> {
    const options = withDefaults(this.defaults, given);
    // Bad options should not wait for their turn.
    this.requireOpen();
    this.#check(options);
    const work = async (signal: AbortSignal) => {
      const noise = (seeds: readonly bigint[], images: number) => this.noiseSource(seeds, images);
      const own = { parts: this.components, scheduler: this.scheduler, noise, conductor };
      return this.during({ ...options, signal }, (given) =>
        withMemoryOfRun(() => runPasses(this.family, own, given)),
      );
    };
    return conductor ? this.#queue.beside(work, options.signal) : this.#queue.run(work, options.signal);
  }

  /** The kind of run that options make, as plans name it; undefined for one that no plan can be for. */
  plannedRun(options: Valid<Options>): PlannedRun | undefined {
    const { family, components, scheduler } = this;
    return plannableRun(family, withDefaults(this.defaults, options), family.facts(components), scheduler);
  }

  /**
   * How many calls of this pipeline wait or run: of `generate` and what is made of it, and of `encodePrompt`, which
   * takes no turn.
   */
  get pending(): number {
    return this.#queue.pending;
  }

  /**
   * How many calls may wait or run at once; a further one is rejected with ERR_DEEPCACHE_BUSY. Infinite unless the load
   * option of the name, or this property, says otherwise.
   */
  get maxPending(): number {
    return this.#queue.limit;
  }

  set maxPending(value: number) {
    this.#queue.limit = value;
  }

  /** The same as an async iterable of steps that ends with the result. Leaving the loop early stops the run. */
  async *stream<Output extends OutputKind = 'image'>(
    options: Valid<Options> & { output?: Output },
  ): AsyncGenerator<StreamEvent<Output>, void, void> {
    // Before options are wrapped: generate() would not see what was wrong with them.
    this.requireOpen();
    this.#check(withDefaults(this.defaults, options));
    yield* streamOf(options, (run) => this.generate({ ...options, ...run }));
  }

  /** Prepares a size for the options of runs to come, so that the first is as fast as the next: a short run for nothing. */
  async warmup(options: Partial<Options> = {}): Promise<void> {
    await this.#generate(shortRun(this.family, options) as Valid<Options>);
  }

  /** Stops what waits and runs, and frees all memory; later calls are rejected with ERR_DEEPCACHE_DISPOSED too. */
  async dispose(): Promise<void> {
    const first = !this.#queue.isClosed;
    await this.#queue.close(new DeepCacheError('ERR_DEEPCACHE_DISPOSED', 'The pipeline was disposed'));
    if (first) this.components.models.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  toJSON(): object {
    const { device, model, defaults } = this;
    return { className: this.family.className, device, model, defaults };
  }

  /** What console.log shows. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `${this.family.className} on ${this.device}`;
  }

  /** Runs `work`, which nothing that changes the models comes between. */
  protected during<T>(options: Options, work: (options: Options) => Promise<T>): Promise<T> {
    return this.components.models.gate.run(() => work(options), options.signal);
  }

  /** Changes the models, after the calls before, and when none of another pipeline uses them. */
  protected change<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#queue.change((until) => this.components.models.gate.change(work, until), signal);
  }

  /** The random numbers of a run. */
  protected noiseSource(seeds: readonly bigint[], images: number): NoiseSource {
    return new NoiseSource(seeds, images);
  }

  /** Throws what is wrong with the options. */
  #check(options: Options): void {
    checkPasses(this.family, options, this.family.facts(this.components), this.scheduler);
  }

  /**
   * Work on the options of a run, checked and with their defaults, that takes no turn, but is counted. Their signal is
   * the caller's until the pipeline is disposed.
   */
  protected async beside<Resolved, T>(options: Options, work: (run: Resolved) => Promise<T>): Promise<T> {
    const { family, components, scheduler } = this;
    const given = withDefaults(this.defaults, options);
    const facts = family.facts(components);
    const texts = family.resolveTexts?.(given, facts);
    const run = texts ?? family.resolve(given, facts, scheduler, undefined);
    const job = (signal: AbortSignal) => components.models.gate.run(() => work({ ...run, signal }), signal);
    return this.#queue.beside(job, given.signal);
  }

  /** @internal Loads what goes beside the parts of the family. */
  protected async loadExtras(_: ModelIndex, options: LoadOptions): Promise<void> {
    refuseNetworks(options);
  }

  /** @internal Throws ERR_DEEPCACHE_DISPOSED when it was disposed. */
  protected requireOpen(): void {
    this.#queue.requireOpen();
  }
}
