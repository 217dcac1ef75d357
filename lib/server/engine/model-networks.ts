import { LoraPipeline } from '../../adapters/lora-pipeline.js';
import { ControlPipeline } from '../../control/control-pipeline.js';
import { DeepCacheError, messageOf } from '../../errors.js';
import { IpAdapterPipeline } from '../../ip-adapter/ip-adapter-pipeline.js';
import type { Log } from '../../log.js';
import { show } from '../../messages.js';
import type { AnyPipeline } from '../../pipelines/diffusion-pipeline.js';
import { TextPipeline } from '../../pipelines/families/text-pipeline.js';
import { T2IAdapterPipeline } from '../../t2i-adapter/t2i-adapter-pipeline.js';
import type { EngineNetworks, NetworkNeeds } from './networks.js';

// biome-ignore-start lint/suspicious/noExplicitAny: pipelines differ in their options and parts
type AnyLora = LoraPipeline<any, any>;
type AnyControl = ControlPipeline<any, any>;
type AnyT2IAdapter = T2IAdapterPipeline<any, any>;
type AnyIpAdapter = IpAdapterPipeline<any, any>;
// biome-ignore-end lint/suspicious/noExplicitAny: so far

/**
 * What is loaded beside a model, and on its weights: brought to what a job needs before it begins. Jobs that need other
 * things are not under way then (`goTogether`), so that what changes here waits for nobody but those that end.
 */
export class ModelNetworks {
  #last: Promise<void> = Promise.resolve();

  constructor(
    private readonly known: EngineNetworks,
    private readonly log: Log,
  ) {}

  /** Loads what all jobs of a model see. What does not fit it is told to the log. */
  async loadEmbeddings(pipe: AnyPipeline): Promise<void> {
    if (!(pipe instanceof TextPipeline)) return;
    for (const [token, file] of Object.entries(this.known.embeddings ?? {})) {
      try {
        await pipe.loadTextualInversion(file, { token });
      } catch (error) {
        this.log(`${show(token)} is no textual inversion of this model: ${messageOf(error)}`);
      }
    }
  }

  /**
   * One call after the other: the second of jobs that need the same finds it there.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_UNSUPPORTED for a network that does not go with the model, without a word of its file.
   */
  prepare(pipe: AnyPipeline, needs: NetworkNeeds, signal: AbortSignal): Promise<void> {
    const work = this.#last.then(async () => {
      signal.throwIfAborted();
      if (pipe instanceof LoraPipeline) await this.#loras(pipe, needs.loras, signal);
      else if (needs.loras.length > 0) throw unfit('adapters');
      if (pipe instanceof ControlPipeline) await this.#controls(pipe, needs.controlNets, signal);
      else if (needs.controlNets) throw unfit('ControlNets');
      if (pipe instanceof T2IAdapterPipeline) await this.#t2iAdapters(pipe, needs.t2iAdapters, signal);
      else if (needs.t2iAdapters) throw unfit('T2I-Adapters');
      if (pipe instanceof IpAdapterPipeline) await this.#ipAdapters(pipe, needs.ipAdapters, signal);
      else if (needs.ipAdapters) throw unfit('IP-Adapters');
    });
    this.#last = work.catch(() => {});
    return work;
  }

  async #loras(pipe: AnyLora, uses: NetworkNeeds['loras'], signal: AbortSignal): Promise<void> {
    const { known } = this;
    const isWanted = (name: string) => uses.some((use) => use.name === name);
    const texts = pipe instanceof TextPipeline ? pipe.textualInversions : [];
    for (const { name } of pipe.loras) {
      // Words that an adapter brings are words of its jobs alone.
      const brings = texts.some(({ adapter }) => adapter === name);
      if (brings && !isWanted(name)) await pipe.unloadLora(name, { signal });
    }
    for (const { name } of uses) {
      if (pipe.loras.some((one) => one.name === name)) continue;
      const file = known.loras?.[name] as string;
      await this.#fitting(name, signal, () => pipe.loadLora(file, { name, scale: 0, signal }));
    }
    const active = pipe.loras.filter(({ scale }) => scale !== 0);
    const text = (list: NetworkNeeds['loras']) =>
      JSON.stringify(list.map(({ name, scale }) => [name, scale]).sort());
    if (text(active) === text(uses)) return;
    await pipe.setLoras(uses, { signal });
  }

  async #controls(
    pipe: AnyControl,
    names: readonly string[] | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    // Where none has a name the model's own see the pictures.
    if (names === undefined || sameNames(pipe.controlNets, names)) return;
    if (pipe.controlNets.length > 0) await pipe.unloadControlNet(undefined, { signal });
    for (const name of names) {
      const file = this.known.controlNets?.[name] as string;
      await this.#fitting(name, signal, () => pipe.loadControlNet(file, { name, label: name, signal }));
    }
  }

  async #t2iAdapters(
    pipe: AnyT2IAdapter,
    names: readonly string[] | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (names === undefined || sameNames(pipe.t2iAdapters, names)) return;
    if (pipe.t2iAdapters.length > 0) await pipe.unloadT2IAdapter(undefined, { signal });
    for (const name of names) {
      const file = this.known.t2iAdapters?.[name] as string;
      await this.#fitting(name, signal, () => pipe.loadT2IAdapter(file, { name, label: name, signal }));
    }
  }

  async #ipAdapters(
    pipe: AnyIpAdapter,
    names: readonly string[] | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (names === undefined || sameNames(pipe.ipAdapters, names)) return;
    if (pipe.ipAdapters.length > 0) await pipe.unloadIpAdapter(undefined, { signal });
    for (const name of names) {
      const given = this.known.ipAdapters?.[name] as string | { file: string; imageEncoder?: string };
      const { file, ...encoder } = typeof given === 'string' ? { file: given } : given;
      await this.#fitting(name, signal, () =>
        pipe.loadIpAdapter(file, { ...encoder, name, label: name, signal }),
      );
    }
  }

  /** What is wrong with a file is for the log: whoever names it may not know where it lies. */
  async #fitting(name: string, signal: AbortSignal, load: () => Promise<unknown>): Promise<void> {
    try {
      await load();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof DeepCacheError) || !OF_THE_FILE.includes(error.code)) throw error;
      this.log(`${show(name)} cannot be used: ${error.message}`);
      throw unfit(show(name), error);
    }
  }
}

const OF_THE_FILE = [
  ...['ERR_DEEPCACHE_INVALID_WEIGHTS', 'ERR_DEEPCACHE_INVALID_CONFIG', 'ERR_DEEPCACHE_INVALID_ARGUMENT'],
  ...['ERR_DEEPCACHE_UNSUPPORTED'],
];

const sameNames = (loaded: readonly { readonly name: string }[], names: readonly string[]) =>
  loaded.length === names.length && loaded.every(({ name }, i) => name === names[i]);

const unfit = (what: string, cause?: unknown) =>
  new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `${what} cannot be used with this model`, { cause });
