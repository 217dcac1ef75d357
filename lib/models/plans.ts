import { finish } from '../native/device.js';
import type { Job } from '../native/types.js';

/** Sizes that are remembered. */
const MOST_KEPT = 16;

/** What a model costs by the size of its input. It is computed on a thread; a server's runs repeat their sizes. */
export class Plans<Size extends object, Plan> {
  readonly #known = new Map<string, Plan>();

  constructor(private readonly start: (size: Size) => Job<Plan>) {}

  /** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for sizes that the model does not take; the signal's reason. */
  async of(size: Size, signal?: AbortSignal): Promise<Plan> {
    signal?.throwIfAborted();
    const key = JSON.stringify(size);
    const known = this.#known.get(key);
    if (known) return known;
    const plan = await finish(() => this.start(size), signal);
    const [oldest] = this.#known.keys();
    if (this.#known.size >= MOST_KEPT && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(key, plan);
    return plan;
  }
}
