import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { unknownName } from '../names.js';
import type { NativeT2iAdapter } from '../native/types.js';

/** A T2I-Adapter of a pipeline. */
export interface T2IAdapterInfo {
  /** What it is called. */
  readonly name: string;
  /** The folder or file that it was loaded from. */
  readonly file: string;
}

/** One that is loaded. */
export interface LoadedT2IAdapter extends T2IAdapterInfo {
  /** What settings say of it. */
  readonly label: string;
  readonly native: NativeT2iAdapter;
}

/** The T2I-Adapters of models that pipelines share, in the order in which they were loaded. */
export class T2IAdapters {
  #loaded: readonly LoadedT2IAdapter[] = [];

  get loaded(): readonly LoadedT2IAdapter[] {
    return this.#loaded;
  }

  get list(): T2IAdapterInfo[] {
    return this.#loaded.map(({ name, file }) => ({ name, file }));
  }

  /** What settings say of them. */
  get labels(): string[] {
    return this.#loaded.map(({ label }) => label);
  }

  /** Bytes of the weights. */
  get weightBytes(): number {
    return this.#loaded.reduce((sum, one) => sum + one.native.memory().weights, 0);
  }

  has(name: string): boolean {
    return this.#loaded.some((one) => one.name === name);
  }

  requireFree(name: string): void {
    if (!this.has(name)) return;
    throw invalidArgument('name', `${show(name)} is the name of another T2I-Adapter: give it one of its own`);
  }

  add(name: string, file: string, native: NativeT2iAdapter, label = file): T2IAdapterInfo {
    this.requireFree(name);
    this.#loaded = [...this.#loaded, { name, file, label, native }];
    return { name, file };
  }

  /** One of them, or all. */
  remove(name?: string): void {
    if (name !== undefined && !this.has(name)) {
      const names = this.#loaded.map((one) => one.name);
      const known = names.length > 0 ? unknownName(name, names) : 'none is loaded';
      throw invalidArgument('name', `is no T2I-Adapter of this pipeline: ${show(name)}; ${known}`);
    }
    const goes = (one: LoadedT2IAdapter) => name === undefined || one.name === name;
    for (const one of this.#loaded) if (goes(one)) one.native.dispose();
    this.#loaded = this.#loaded.filter((one) => !goes(one));
  }
}
