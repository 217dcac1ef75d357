import { basename, extname } from 'node:path';
import { DeepCacheError, invalidArgument } from '../errors.js';
import { checkUnchanged } from '../files/random-access.js';
import { show } from '../messages.js';
import { unknownName } from '../names.js';
import type { AdaptedWeight } from '../native/adapter-terms.js';
import { ModuleTable } from './module-table.js';
import type { AdaptablePart, PartName } from './part.js';
import { type AdapterFile, readAdapter } from './read.js';
import { checkScale, type LoraScale, scaleText } from './scale.js';
import { type PartState, stateOf } from './weight-state.js';

/** Characters of a name. */
export const LONGEST_NAME = 200;

/** An adapter of a pipeline. */
export interface LoraInfo {
  /** What `loadLora` called it. */
  readonly name: string;
  /** The file that it was read from. */
  readonly file: string;
  /** The first 12 digits of the SHA-256 of its values, as web UIs and model sites tell adapters from each other. */
  readonly hash: string;
  /** How much it counts; 0: not at all. */
  readonly scale: LoraScale;
  /** Weights that it changes. */
  readonly weights: number;
  /** Keys of the file that mean nothing to the model. */
  readonly unknownKeys: readonly string[];
}

/** Which adapter counts how much. */
export interface LoraUse {
  /** What `loadLora` called it. */
  readonly name: string;
  /** Default 1. */
  readonly scale?: LoraScale | undefined;
}

interface Loaded {
  readonly name: string;
  readonly file: AdapterFile;
  /** Tells its state from those of other adapters that had its name. */
  readonly id: number;
}

type Scales = ReadonlyMap<string, LoraScale>;

/** The adapters of models that pipelines share, and what is applied of them. */
export class Loras {
  readonly #parts: readonly AdaptablePart[];
  #table: ModuleTable | undefined;
  #loaded: readonly Loaded[] = [];
  #scales: Scales = new Map();
  #applied = new Map<PartName, PartState>();
  #nextId = 0;

  constructor(parts: readonly AdaptablePart[]) {
    this.#parts = parts;
  }

  get list(): LoraInfo[] {
    return this.#loaded.map(({ name, file }) => ({
      name,
      file: file.path,
      hash: file.hash,
      scale: this.#scales.get(name) ?? 0,
      weights: file.changes.length,
      unknownKeys: file.unknown,
    }));
  }

  /** Reads a file; nothing changes yet. */
  read(path: string, signal?: AbortSignal): Promise<AdapterFile> {
    this.#table ??= new ModuleTable(this.#parts);
    return readAdapter(path, this.#table, signal);
  }

  /** The name of an adapter that has none: its file's, with other signs for those that prompts could not hold. */
  static nameOf(path: string): string {
    const name = basename(path);
    const stem = name.slice(0, name.length - extname(name).length) || name;
    return stem.replace(/[<>:]/g, '_').slice(0, LONGEST_NAME);
  }

  /** Throws when the name cannot be given to another one. */
  requireFree(name: string): void {
    if (!this.#loaded.some((other) => other.name === name)) return;
    throw invalidArgument(
      'name',
      `is taken: there is an adapter ${show(name)}; unload it, or give another name`,
    );
  }

  /** With the exclusive use of the models, as all that follows. */
  async add(name: string, file: AdapterFile, scale: LoraScale): Promise<LoraInfo> {
    this.requireFree(name);
    const loaded = [...this.#loaded, { name, file, id: this.#nextId++ }];
    await this.#apply(loaded, new Map([...this.#scales, [name, scale]]));
    return this.list.at(-1) as LoraInfo;
  }

  /** These count from here on, and no others. */
  async use(uses: readonly LoraUse[]): Promise<void> {
    await this.#apply(this.#loaded, this.#scalesOf(uses));
  }

  /** Those of `uses` count otherwise while `work` runs. */
  async during<T>(uses: readonly LoraUse[], work: () => Promise<T>): Promise<T> {
    const before = this.#scales;
    await this.#apply(this.#loaded, new Map([...before, ...this.#scalesOf(uses)]));
    try {
      return await work();
    } finally {
      await this.#apply(this.#loaded, before);
    }
  }

  /** Of one, or of all. */
  async remove(name: string | undefined): Promise<void> {
    if (name !== undefined) this.requireKnown('name', name);
    const stays = (other: string) => name !== undefined && other !== name;
    const loaded = this.#loaded.filter((one) => stays(one.name));
    await this.#apply(loaded, new Map([...this.#scales].filter(([other]) => stays(other))));
  }

  /** Throws unless there is an adapter of the name. */
  requireKnown(option: string, name: string): void {
    const names = this.#loaded.map((one) => one.name);
    if (names.includes(name)) return;
    const known = names.length > 0 ? unknownName(name, names) : 'none is loaded';
    throw invalidArgument(option, `is no adapter of this pipeline: ${show(name)}; ${known}`);
  }

  /** What settings say of a run: what counts now. */
  get settings(): { readonly loras?: string; readonly hashes?: string } {
    const active = this.list.filter(({ scale }) => scale !== 0);
    if (active.length === 0) return {};
    // A comma ends an entry, as in the web UI's settings.
    const shown = (name: string) => name.replaceAll(',', '');
    return {
      loras: active.map(({ name, scale }) => `${shown(name)}: ${scaleText(scale)}`).join(', '),
      hashes: active.map(({ name, hash }) => `${shown(name)}: ${hash}`).join(', '),
    };
  }

  /** An error about a weight that holds no numbers, with the adapters that are on the weight. */
  blamed(error: unknown): unknown {
    if (!(error instanceof DeepCacheError) || error.code !== 'ERR_DEEPCACHE_NOT_FINITE') return error;
    const [, weight = ''] = /the weight "([^"]+)" of /.exec(error.message) ?? [];
    const files = [...this.#applied.values()].flatMap((state) => [
      ...(state.get(weight)?.stamps.keys() ?? []),
    ]);
    if (files.length === 0) return error;
    const message = `${error.message}, with what ${files.join(' and ')} ${files.length > 1 ? 'add' : 'adds'} to it`;
    return new DeepCacheError(error.code, message, { cause: error });
  }

  #scalesOf(uses: readonly LoraUse[]): Map<string, LoraScale> {
    const scales = new Map<string, LoraScale>();
    for (const { name, scale = 1 } of uses) {
      this.requireKnown('loras', name);
      scales.set(name, checkScale('scale', scale));
    }
    return scales;
  }

  /** Changes what differs from what is applied, in all networks or in none; it takes a moment, and is not stopped. */
  async #apply(loaded: readonly Loaded[], scales: Scales): Promise<void> {
    // Their values are read now: what stood in them may stand elsewhere by now.
    const active = loaded.flatMap(({ name, file, id }) => {
      const scale = scales.get(name) ?? 0;
      return scale === 0 ? [] : { file, id, scale };
    });
    for (const { file } of active) await checkUnchanged(file.path, file.stamp);
    const done: AdaptablePart[] = [];
    const wanted = new Map(this.#parts.map(({ part }) => [part, stateOf(part, active)]));
    const change = async (part: AdaptablePart, from: PartState, to: PartState) => {
      const weights = differences(from, to);
      if (weights.length > 0) await part.adapt(weights);
    };
    const empty: PartState = new Map();
    const before = (name: PartName) => this.#applied.get(name) ?? empty;
    const after = (name: PartName) => wanted.get(name) ?? empty;
    try {
      for (const part of this.#parts) {
        await change(part, before(part.part), after(part.part));
        done.push(part);
      }
    } catch (error) {
      for (const part of done) await change(part, after(part.part), before(part.part));
      throw error;
    }
    this.#applied = wanted;
    this.#loaded = loaded;
    this.#scales = scales;
  }
}

function differences(from: PartState, to: PartState): AdaptedWeight[] {
  const weights: AdaptedWeight[] = [];
  for (const [name, { terms, stamps, key }] of to)
    if (from.get(name)?.key !== key) weights.push({ name, terms, stamps });
  for (const name of from.keys()) if (!to.has(name)) weights.push({ name, terms: [] });
  return weights;
}
