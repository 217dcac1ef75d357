import { type SamplerOptions, Scheduler } from '../../lib/entries/schedulers.js';
import type { GenerateOptions } from '../../lib/index.js';
import type { AdapterFolder } from '../adapters/adapter-files.js';
import { numbersOf, sameBits } from '../pipelines/tiny.js';
import type { Feature } from './features.js';
import type { System } from './systems.js';

/** What a cell of the table says. */
export type Verdict =
  | { readonly works: true }
  /** The error of the package, as a user sees it. */
  | { readonly works: false; readonly error: string }
  /** Neither: there is something to mend. */
  | { readonly works: false; readonly fault: string };

const WORKS: Verdict = { works: true };
const wrong = (fault: string): Verdict => ({ works: false, fault });
const STEPS = 7;

interface Ran {
  latents: Float32Array;
  notes: readonly string[];
}

/** Runs features of one system alone and in pairs, and says what comes of it. */
export class Composition {
  readonly #ran = new Map<string, Promise<Ran>>();

  constructor(
    readonly system: System,
    private readonly files: AdapterFolder,
  ) {}

  /** Whether a feature works by itself. */
  alone(feature: Feature): Promise<Verdict> {
    return this.#verdict(async () => {
      const { latents, notes } = await this.#run([feature]);
      // The model's own sampler is one of those that are tried.
      if (!this.#isOwn(feature) && sameBits(latents, (await this.#run([])).latents))
        return unchanged(feature, notes);
      return this.#fullCalls([feature], latents);
    });
  }

  /** Whether two features that work by themselves work together, and both count. */
  pair(first: Feature, second: Feature): Promise<Verdict> {
    return this.#verdict(async () => {
      const { latents, notes } = await this.#run([first, second]);
      for (const [one, other] of [
        [first, second],
        [second, first],
      ] as const) {
        if (this.#isOwn(other)) continue;
        if (sameBits(latents, (await this.#run([one])).latents)) return unchanged(other, notes);
      }
      return this.#fullCalls([first, second], latents);
    });
  }

  /** What is computed with a cache of which every call is full is what is computed without one. */
  async #fullCalls(features: readonly Feature[], latents: Float32Array): Promise<Verdict | undefined> {
    if (!latents.every(Number.isFinite)) return wrong('makes values that are not finite');
    if (features.some(({ kind }) => kind === 'cache')) return undefined;
    const full = await this.#run(features, { cache: { interval: 1 } });
    return sameBits(full.latents, latents) ? undefined : wrong('differs at interval 1');
  }

  #isOwn({ kind, name }: Feature): boolean {
    return kind === 'sampler' && this.system.pipe.scheduler.className === `${name}Scheduler`;
  }

  async #verdict(work: () => Promise<Verdict | undefined>): Promise<Verdict> {
    try {
      const other = await work();
      return other ?? WORKS;
    } catch (error) {
      // What a pipeline has no method for, TypeScript refuses. Files are in another folder every time.
      return { works: false, error: (error as Error).message.replaceAll(this.files.path, 'FOLDER') };
    }
  }

  /** Every combination is run once. */
  #run(features: readonly Feature[], own: object = {}): Promise<Ran> {
    const key = JSON.stringify([features.map(({ name }) => name).sort(), own]);
    const known = this.#ran.get(key) ?? this.#make(features, own);
    this.#ran.set(key, known);
    return known;
  }

  async #make(features: readonly Feature[], own: object): Promise<Ran> {
    const { pipe, options } = this.system;
    // The calls of a run depend on its sampler, and caches on the calls.
    const [sampler] = features.filter(({ kind }) => kind === 'sampler');
    const name = sampler?.name ?? pipe.scheduler.className;
    const scheduler = Scheduler.fromConfig(pipe.scheduler, { _class_name: name });
    const ofSampler = sampler ? {} : (options.schedulerOptions as SamplerOptions | undefined);
    const calls = scheduler.compile({ steps: STEPS, ...ofSampler }).rows.length;
    const attached: Feature[] = [];
    try {
      for (const feature of features) {
        await feature.attach?.(this.system, this.files);
        if (feature.attach) attached.push(feature);
      }
      const run = Object.assign({}, ...features.map((feature) => feature.options(calls)), own);
      const result = await pipe.generate({
        ...options,
        ...run,
        ...{ steps: STEPS, seed: 7, output: 'latent' },
      } as GenerateOptions);
      return { latents: numbersOf(result), notes: result.notes };
    } finally {
      for (const feature of attached) await feature.detach?.(pipe);
    }
  }
}

/** What a run that is the same without a feature says of it: results have notes of what is not used. */
function unchanged({ name }: Feature, notes: readonly string[]): Verdict {
  const note = notes.find((text) => text.includes('is not used'));
  return note === undefined ? wrong(`${name} changes nothing`) : { works: false, error: note };
}
