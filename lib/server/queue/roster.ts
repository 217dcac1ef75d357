import { Scheduler, type SchedulerConfig } from '../../schedulers/index.js';
import type { ModelAbout, ModelCard } from '../engine/served-model.js';
import type { Load, ServedModel } from '../http/engine.js';
import { RequestError } from '../http/errors.js';
import type { NetworkNames } from '../http/network-names.js';
import type { Store } from './store.js';

/** Milliseconds after which a worker that says nothing has gone, a model is absent, and a model is forgotten. */
const SILENCE = 10_000;
const ABSENCE = 30_000;
const OBLIVION = 3_600_000;

/** What a worker says of itself. */
interface Said {
  readonly passes?: number;
  readonly samples?: number;
  readonly secondsLeft?: number;
}

type Told = [workers: string[], models: (string | number)[], queued: number, running: number];

/** Which workers and models there are, as of a moment ago. */
export class Roster {
  #workers: Said[] = [];
  #present: ServedModel[] = [];
  #absent = new Set<string>();
  readonly #told = new Map<string, ToldModel & { readonly text: string }>();
  #load: Load = { queued: 0, running: 0 };

  constructor(private readonly store: Store) {}

  async refresh(): Promise<void> {
    const [workers, models, queued, running] = await this.store.run<Told>(
      'roster',
      ...[SILENCE, ABSENCE, OBLIVION],
    );
    this.#workers = workers.map(readSaid);
    this.#present = [];
    this.#absent = new Set();
    for (let i = 0; i < models.length; i += 3) {
      const [name, isThere, text] = [String(models[i]), models[i + 1] === 1, String(models[i + 2])];
      if (this.#told.get(name)?.text !== text) this.#told.set(name, { text, ...readModel(text) });
      if (isThere) this.#present.push({ name, ...this.#told.get(name)?.names });
      else this.#absent.add(name);
    }
    const sum = (of: (said: Said) => number | undefined) =>
      this.#workers.reduce((total, one) => total + (of(one) ?? 0), 0);
    const times = this.#workers.flatMap(({ secondsLeft }) => secondsLeft ?? []);
    this.#load = {
      ...{ queued, running, passes: sum(({ passes }) => passes), samples: sum(({ samples }) => samples) },
      ...(times.length > 0 && { secondsLeft: Math.max(...times) }),
    };
  }

  get load(): Load {
    return this.#load;
  }

  /** The one that was there first is the first. */
  get models(): readonly ServedModel[] {
    return this.#present;
  }

  get hasWorkers(): boolean {
    return this.#workers.length > 0;
  }

  /** What is known of a model; undefined where nobody told of it. */
  model(name: string): ToldModel | undefined {
    return this.#told.get(name);
  }

  /** Why a model is not there; undefined: it never was. */
  absence(model: string | undefined): RequestError | undefined {
    if (model !== undefined && this.#present.length > 0 && !this.#absent.has(model)) return undefined;
    return new RequestError(503, 'no_worker', 'no worker is there for this now; try again later', 10);
  }
}

function readSaid(text: string): Said {
  const said = JSON.parse(text) as Record<string, unknown>;
  const number = (name: string) => (Number.isFinite(said[name]) ? { [name]: said[name] as number } : {});
  return { ...number('passes'), ...number('samples'), ...number('secondsLeft') };
}

/** What workers tell of a model. */
export interface ToldModel {
  /** With it options are checked before a job is accepted; undefined where it cannot be read. */
  readonly card: ModelCard | undefined;
  readonly about: ModelAbout | undefined;
  readonly names: NetworkNames;
}

/** A model as a worker tells of it, from its JSON: numbers, names and the configuration of a sampler. */
export function readModel(text: string): ToldModel {
  try {
    const { card, about, names } = JSON.parse(text) as Record<string, unknown>;
    return { card: readCard(card), about: about as ModelAbout | undefined, names: readNames(names) };
  } catch {
    return { card: undefined, about: undefined, names: {} };
  }
}

function readCard(card: unknown): ModelCard | undefined {
  const { className, facts, scheduler, defaults } = (card ?? {}) as Record<string, unknown>;
  if (typeof className !== 'string' || typeof facts !== 'object' || facts === null) return undefined;
  try {
    return {
      className,
      facts: facts as ModelCard['facts'],
      scheduler: Scheduler.fromConfig(scheduler as SchedulerConfig),
      defaults: (defaults ?? {}) as ModelCard['defaults'],
    };
  } catch {
    return undefined;
  }
}

function readNames(given: unknown): NetworkNames {
  const all = (given ?? {}) as Record<string, unknown>;
  const list = (kind: string) => (Array.isArray(all[kind]) ? (all[kind] as unknown[]) : []);
  const texts = (kind: string) => list(kind).filter((one) => typeof one === 'string');
  const upscalers = list('upscalers').flatMap((one) => {
    const { name, scale } = (one ?? {}) as Record<string, unknown>;
    if (typeof name !== 'string') return [];
    return [{ name, ...(typeof scale === 'number' && { scale }) }];
  });
  return {
    ...{ loras: texts('loras'), controlNets: texts('controlNets'), t2iAdapters: texts('t2iAdapters') },
    ...{ ipAdapters: texts('ipAdapters'), embeddings: texts('embeddings'), upscalers },
  };
}
