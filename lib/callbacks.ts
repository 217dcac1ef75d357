/**
 * Calls functions that users gave. What one throws, and what a promise that it returned rejects with, is handed over
 * once, and never ends up as an unhandled rejection.
 */
export class Callbacks {
  readonly #pending = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  /** @param onFailure called at the first failure, at once. */
  constructor(private readonly onFailure: (error: unknown) => void = () => {}) {}

  run(callback: () => unknown): void {
    if (this.#failure) return;
    try {
      const returned = callback();
      if (!isThenable(returned)) return;
      const settled = Promise.resolve(returned).then(
        () => void this.#pending.delete(settled),
        (error) => this.#fail(error),
      );
      this.#pending.add(settled);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Throws the first failure so far. */
  throwIfFailed(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** Waits for what the functions promised, until the first failure or an abort, which it throws. */
  async settled(signal?: AbortSignal): Promise<void> {
    let stop = () => {};
    const aborted = new Promise<void>((resolve) => {
      stop = resolve;
      signal?.addEventListener('abort', stop);
    });
    try {
      while (this.#pending.size > 0 && !this.#failure && !signal?.aborted) {
        await Promise.race([...this.#pending, aborted]);
      }
    } finally {
      signal?.removeEventListener('abort', stop);
    }
    this.throwIfFailed();
    signal?.throwIfAborted();
  }

  #fail(error: unknown): void {
    if (this.#failure) return;
    this.#failure = { error };
    this.onFailure(error);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  const kind = typeof value;
  if (value === null || (kind !== 'object' && kind !== 'function')) return false;
  return typeof (value as { then?: unknown }).then === 'function';
}
