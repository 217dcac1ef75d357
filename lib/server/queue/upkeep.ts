import type { Keeping } from '../http/jobs/desk.js';
import type { Broker } from './broker.js';
import { namesIn } from './results/made.js';
import type { ResultStore } from './results/result-store.js';
import type { Store } from './store.js';

/** Milliseconds between two looks, and between two at files that nobody removed. */
const EVERY = 1000;
const TIDY = 600_000;
/** Milliseconds without any server's look after which everybody gets that time back. */
const GAP = 5000;
/** Milliseconds that a server has to tell of the end of a job, before another one does. */
const HOOK = 120_000;

interface Parts {
  readonly store: Store;
  readonly broker: Broker;
  readonly results: ResultStore;
  onProblem(error: unknown): void;
}

type Swept = [cancelled: string[], forgotten: string[], unadded: string[]];

/** What has to be done now and then; all servers do it, each what is there when it looks. */
export class Upkeep {
  readonly #timers: NodeJS.Timeout[];
  #isBusy = false;

  /** @param tell tells of the end of a job, where somebody wants to be told. */
  constructor(
    private readonly parts: Parts,
    private readonly keep: Keeping,
    private readonly tell: (id: string) => Promise<void>,
  ) {
    const { results } = parts;
    const tidy = () => void results.tidy?.(2000 * keep.seconds + 3_600_000).catch(parts.onProblem);
    this.#timers = [setInterval(() => void this.#look(), EVERY), setInterval(tidy, TIDY)];
    for (const timer of this.#timers) timer.unref();
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  async #look(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      await this.#sweep();
      await this.#hooks();
    } catch (error) {
      this.parts.onProblem(error);
    } finally {
      this.#isBusy = false;
    }
  }

  async #sweep(): Promise<void> {
    const { store, broker, results } = this.parts;
    const { seconds, bytes } = this.keep;
    const [cancelled, forgotten, unadded] = await store.run<Swept>('sweep', 1000 * seconds, bytes, GAP);
    for (const [model, id] of pairs(cancelled)) await broker.remove(model, id);
    const names = forgotten.flatMap(namesIn);
    if (names.length > 0) await results.remove(names);
    for (const [model, id] of pairs(unadded)) {
      await broker.add(model, id);
      await store.redis.zrem(store.key('unadded'), id);
    }
    if (unadded.length > 0) await store.redis.publish(store.key('work'), '');
  }

  async #hooks(): Promise<void> {
    const { store, onProblem } = this.parts;
    for (let i = 0; i < 16; i++) {
      const id = await store.run<string | null>('hook', HOOK);
      if (id === null) return;
      const told = async () => {
        await this.tell(id);
        await store.redis.zrem(store.key('hooks'), id);
      };
      told().catch(onProblem);
    }
  }
}

function* pairs(list: readonly string[]): Generator<[string, string]> {
  for (let i = 0; i + 1 < list.length; i += 2) yield [list[i] as string, list[i + 1] as string];
}
