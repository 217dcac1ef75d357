import { unetDefaults } from '../../configs/unet-size.js';
import { DeepCacheError } from '../../errors.js';
import { checkPasses } from '../../hires/second-pass.js';
// All pipelines.
import { DiffusionPipeline } from '../../index.js';
import { resolveNames } from '../../library/resolve-options.js';
import { defaultLog, type Log } from '../../log.js';
import { native } from '../../native/binding.js';
import { finish } from '../../native/device.js';
import type { AnyPipeline } from '../../pipelines/diffusion-pipeline.js';
import { classForInputs, pipelineForInputs } from '../../pipelines/families/auto.js';
import type { AnyFamily } from '../../pipelines/family.js';
import { modelDefaults } from '../../pipelines/loading/about-model.js';
import { withDefaults } from '../../pipelines/loading/generation-config.js';
import { classAt, readModelIndex } from '../../pipelines/loading/model-index.js';
import type { FolderFacts, LoadOptions, ModelIndex } from '../../pipelines/loading/parts.js';
import { findPreviewVae } from '../../pipelines/loading/preview-vae.js';
import { requirePipeline } from '../../pipelines/loading/registry.js';
import { checkRunInputs } from '../../pipelines/run.js';
import type { Task } from './job.js';
import { ModelNetworks } from './model-networks.js';
import { type ModelDefaults, type ModelOptions, named, type RunDefaults } from './model-options.js';
import type { EngineNetworks, NetworkNeeds } from './networks.js';

/** What is known of a model without its weights. */
export interface ModelCard extends FolderFacts {
  /** Of its pipeline, in diffusers' words. */
  readonly className: string;
  /** What its runs take where they say nothing else. */
  readonly defaults: ModelDefaults;
}

/** What people should know about a model. */
export interface ModelAbout {
  /** Of its pipeline, in diffusers' words. */
  readonly className: string;
  /** Of its pictures where a job names no size, in pixels. */
  readonly width: number;
  /** The same. */
  readonly height: number;
  /** What a run takes where a job says nothing else, as far as the model says it. */
  readonly steps?: number | undefined;
  /** The same. */
  readonly guidanceScale?: number | undefined;
  /** The preset of the cache where a job says nothing; `'settings'` where it is none by a name. Absent: no cache. */
  readonly cache?: string | undefined;
  /** Multiplications of a U-Net call with guidance: in full, and from the cache as its presets have it. */
  readonly macs?: { readonly full: number; readonly cached: number } | undefined;
}

/** A checked run. */
export type CheckedRun = Awaited<ReturnType<typeof checkRunInputs>>;

/** A model by a name: what it is known by, its pipelines while it is loaded. */
export class ServedModel {
  #found: Promise<{ index: ModelIndex; load: LoadOptions }> | undefined;
  #card: Promise<ModelCard> | undefined;
  #loaded: Promise<AnyPipeline> | undefined;
  #pipe: AnyPipeline | undefined;
  #macs: Promise<ModelAbout['macs']> | undefined;
  #networks: ModelNetworks | undefined;
  readonly #others = new Map<string, AnyPipeline>();

  constructor(
    readonly name: string,
    private readonly options: ModelOptions,
    private readonly log: Log = defaultLog,
    private readonly known: EngineNetworks = {},
  ) {}

  get isLoaded(): boolean {
    return this.#loaded !== undefined;
  }

  /** Where it computes, and the bytes that can still be allocated there; undefined while it is not loaded. */
  get place(): { readonly device: string; readonly available: number } | undefined {
    return this.#pipe && { device: this.#pipe.device, available: this.#pipe.unet.backend.availableMemory() };
  }

  /** Reads its configurations, once. */
  card(): Promise<ModelCard> {
    this.#card ??= this.#read().catch((error) => {
      this.#card = this.#found = undefined;
      throw error;
    });
    return this.#card;
  }

  /** Checks the options of a run, see {@link checkRun}. */
  async check(task: Task, given: object): Promise<CheckedRun> {
    return checkRun(this.name, await this.card(), task, given);
  }

  /** Options of a run with what it takes where they say nothing. */
  async complete<Given extends object>(given: Given): Promise<Given> {
    return withDefaults((await this.card()).defaults, given);
  }

  /** What people should know about it, without its weights. */
  async about(): Promise<ModelAbout> {
    const { className, facts, defaults } = await this.card();
    this.#macs ??= this.#countMacs().catch(() => undefined);
    return {
      className,
      ...{ width: facts.sampleWidth * facts.scale, height: facts.sampleHeight * facts.scale },
      ...{ steps: defaults.steps, guidanceScale: defaults.guidanceScale, macs: await this.#macs },
      ...(defaults.cache && { cache: typeof defaults.cache === 'string' ? defaults.cache : 'settings' }),
    };
  }

  /** The pipeline of a task; loads the model when it is not. */
  async pipeline(task: Task): Promise<AnyPipeline> {
    this.#loaded ??= this.#load().catch((error) => {
      this.#loaded = undefined;
      throw error;
    });
    const loaded = await this.#loaded;
    const { className } = loaded.constructor as typeof DiffusionPipeline;
    const wanted = classFor(this.name, className, task);
    if (wanted === className) return loaded;
    let other = this.#others.get(wanted);
    if (!other) {
      other = pipelineForInputs(loaded, inputsOf(task));
      this.#others.set(wanted, other);
    }
    return other;
  }

  /** Brings what is loaded beside it, and what is on its weights, to what a job needs. */
  async prepare(needs: NetworkNeeds, signal: AbortSignal): Promise<void> {
    const pipe = await this.#loaded;
    if (pipe) await this.#networks?.prepare(pipe, needs, signal);
  }

  /** Frees it; the next run loads it again. */
  async unload(): Promise<void> {
    const loading = this.#loaded;
    this.#loaded = undefined;
    this.#networks = this.#pipe = undefined;
    const others = [...this.#others.values()];
    this.#others.clear();
    for (const other of others) await other.dispose();
    const loaded = await loading?.catch(() => undefined);
    await loaded?.dispose();
  }

  async #load(): Promise<AnyPipeline> {
    const { model, defaults: _, ...load } = this.options;
    const pipe = await DiffusionPipeline.fromPretrained(model, { log: this.log, ...load });
    this.#networks = new ModelNetworks(this.known, this.log);
    await this.#networks.loadEmbeddings(pipe);
    this.#pipe = pipe;
    return pipe;
  }

  /** Of a call with guidance, for pictures of the model's own size. */
  async #countMacs(): Promise<ModelAbout['macs']> {
    const {
      index: { source },
    } = await this.#find();
    const { text, value } = await source.json('unet/config.json');
    const { width, height, contextLength } = unetDefaults(value);
    const size = { batch: 2, height, width, contextLength };
    const { full, branches } = await finish(() => native().planUnet(text, size));
    const [cached] = branches;
    return cached && { full: full.executed, cached: cached.executed };
  }

  /** Where its parts are; looked up once. */
  #find() {
    this.#found ??= (async () => {
      const { model, defaults: _, ...given } = this.options;
      const { path, load } = await resolveNames(model, { ...given, log: this.log }, classAt);
      return { index: await readModelIndex(path, load), load };
    })();
    return this.#found;
  }

  async #read(): Promise<ModelCard> {
    const { index, load } = await this.#find();
    // What does not fit should be known before the first job.
    await findPreviewVae(index, { ...load, log: () => {} });
    const family = requirePipeline(index.className, index.source.place).family as AnyFamily;
    const defaults = { ...family.recommended, ...(await modelDefaults(index, () => {})) };
    const card = { ...(await family.readFacts(index, load)), className: index.className, defaults };
    const { defaults: own } = this.options;
    return own ? withOwn(card, family, own) : card;
  }
}

/** A card with defaults of the model's owner. Those that no run can do with would be the mistake of every job. */
function withOwn(card: ModelCard, family: AnyFamily, own: RunDefaults): ModelCard {
  const { facts, scheduler, defaults } = card;
  const all = { ...defaults, ...own };
  const { steps: _, ...shortest } = family.shortest;
  const check = (usual: ModelDefaults) =>
    checkPasses(family, withDefaults(usual, shortest), facts, scheduler);
  named('defaults', () => {
    // Who needs a picture has none here.
    if (family.resolveTexts) family.resolveTexts(withDefaults(all, shortest), facts);
    if (passes(() => check(defaults))) check(all);
  });
  return { ...card, defaults: all };
}

function passes(check: () => void): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}

/**
 * Checks the options of a run as the pipeline of a model does, and looks at its pictures.
 *
 * @param name of the model, for messages.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option, ERR_DEEPCACHE_UNSUPPORTED for a task that the
 * model is not made for.
 */
export async function checkRun(
  name: string,
  card: ModelCard,
  task: Task,
  given: object,
): Promise<CheckedRun> {
  const { className, facts, scheduler, defaults } = card;
  const family = requirePipeline(classFor(name, className, task), name).family as AnyFamily;
  const options = withDefaults(defaults, given);
  checkPasses(family, options, facts, scheduler);
  return checkRunInputs(family, options, facts, scheduler);
}

function classFor(name: string, className: string, task: Task): string {
  if (task === 'text-to-image') return className;
  const found = classForInputs(className, inputsOf(task));
  if (found !== undefined) return found;
  throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `${name}: a ${className} makes no ${task}`);
}

const inputsOf = (task: Task) => ({ image: true, mask: task === 'inpaint' });
