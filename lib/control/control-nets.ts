import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import type { ControlNetModel } from './controlnet-model.js';

/** A ControlNet of a pipeline. */
export interface ControlNetInfo {
  /** What it is called. */
  readonly name: string;
  /** The folder or file that it was loaded from. */
  readonly file: string;
}

interface Loaded extends ControlNetInfo {
  /** What settings say of it. */
  readonly label: string;
  readonly model: ControlNetModel;
}

/** The ControlNets of a pipeline, in the order in which they were loaded. */
export class ControlNets {
  readonly #loaded: Loaded[] = [];

  get list(): ControlNetInfo[] {
    return this.#loaded.map(({ name, file }) => ({ name, file }));
  }

  /** What settings say of them. */
  get labels(): string[] {
    return this.#loaded.map(({ label }) => label);
  }

  get models(): ControlNetModel[] {
    return this.#loaded.map(({ model }) => model);
  }

  requireFree(name: string): void {
    if (!this.#loaded.some((one) => one.name === name)) return;
    throw invalidArgument('name', `${show(name)} is the name of another ControlNet: give it one of its own`);
  }

  add(name: string, file: string, model: ControlNetModel, label = file): ControlNetInfo {
    this.#loaded.push({ name, file, model, label });
    return { name, file };
  }

  /** One of them, or all. */
  remove(name?: string): void {
    const gone = this.#loaded.filter((one) => name === undefined || one.name === name);
    if (name !== undefined && gone.length === 0) {
      const known = this.#loaded.map((one) => show(one.name)).join(', ') || 'none';
      throw invalidArgument('name', `must be a loaded ControlNet (${known}), got ${show(name)}`);
    }
    for (const one of gone) {
      this.#loaded.splice(this.#loaded.indexOf(one), 1);
      one.model.dispose();
    }
  }
}
