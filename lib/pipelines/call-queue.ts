import { DeepCacheError, invalidArgument } from '../errors.js';
import { show } from '../messages.js';

interface Waiting {
  begin(): void;
  reject(error: unknown): void;
}

type Work<T> = (signal: AbortSignal) => Promise<T>;

/** The calls of a pipeline: its runs, one at a time in the order of their calls, and what is done beside them. */
export class CallQueue {
  /** In the order in which they came. */
  readonly #waiting = new Set<Waiting>();
  #running: Promise<void> | undefined;
  /** Calls that take no turn. */
  #beside = 0;
  #limit = Number.POSITIVE_INFINITY;
  /** Aborts all that runs when the queue is closed. */
  readonly #closing = new AbortController();

  /** How many calls wait or run. */
  get pending(): number {
    return this.#waiting.size + (this.#running ? 1 : 0) + this.#beside;
  }

  /** How many may; see {@link checkMaxPending}. */
  get limit(): number {
    return this.#limit;
  }

  set limit(value: number) {
    this.#limit = checkMaxPending(value);
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Throws what {@link close} was given. */
  requireOpen(): void {
    this.#closing.signal.throwIfAborted();
  }

  /**
   * Does a run's work when its turn comes. As all work it gets a signal that aborts with the call's own, or when the queue
   * is closed.
   *
   * @param signal takes a call that waits out of the queue: it is rejected with the reason at once.
   * @throws DeepCacheError ERR_DEEPCACHE_BUSY when as many calls wait or run as may; what {@link close} was given.
   */
  async run<T>(work: Work<T>, signal?: AbortSignal): Promise<T> {
    this.#requireRoom(signal);
    return this.#do(work, signal);
  }

  /** Does work that is no run when its turn comes; there is always room for it. */
  async change<T>(work: Work<T>, signal?: AbortSignal): Promise<T> {
    this.requireOpen();
    signal?.throwIfAborted();
    return this.#do(work, signal);
  }

  /** Does work that takes no turn, but is counted. */
  async beside<T>(work: Work<T>, signal?: AbortSignal): Promise<T> {
    this.#requireRoom(signal);
    this.#beside++;
    try {
      return await work(this.#untilClosed(signal));
    } finally {
      this.#beside--;
    }
  }

  /** Rejects what waits, and all later calls, and aborts what runs. Resolves when the run in progress has ended. */
  async close(error: unknown): Promise<void> {
    this.#closing.abort(error);
    for (const call of this.#waiting) call.reject(error);
    await this.#running;
  }

  async #do<T>(work: Work<T>, signal: AbortSignal | undefined): Promise<T> {
    const end = await this.#turn(signal);
    try {
      const until = this.#untilClosed(signal);
      until.throwIfAborted();
      return await work(until);
    } finally {
      end();
      this.#beginNext();
    }
  }

  #untilClosed(signal: AbortSignal | undefined): AbortSignal {
    return AbortSignal.any(signal ? [signal, this.#closing.signal] : [this.#closing.signal]);
  }

  #requireRoom(signal: AbortSignal | undefined): void {
    this.requireOpen();
    signal?.throwIfAborted();
    if (this.pending < this.#limit) return;
    throw new DeepCacheError(
      'ERR_DEEPCACHE_BUSY',
      `${this.pending} calls of this pipeline are waiting or running, which is its maxPending; try again later`,
    );
  }

  /** Resolves when nothing runs and it is this call's turn, with what ends it. */
  #turn(given: AbortSignal | undefined): Promise<() => void> {
    // One of its own: Node.js warns of many listeners on one signal, which may serve many calls.
    const signal = given && AbortSignal.any([given]);
    return new Promise((resolve, reject) => {
      const leave = () => {
        signal?.removeEventListener('abort', abort);
        this.#waiting.delete(call);
      };
      const abort = () => call.reject(signal?.reason);
      const call: Waiting = {
        begin: () => {
          leave();
          // At once, so that nobody else begins.
          this.#running = new Promise((ended) => {
            resolve(() => {
              this.#running = undefined;
              ended();
            });
          });
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      };
      signal?.addEventListener('abort', abort);
      this.#waiting.add(call);
      this.#beginNext();
    });
  }

  #beginNext(): void {
    if (this.#running) return;
    const [next] = this.#waiting;
    next?.begin();
  }
}

/** Throws unless it is a whole number of at least 1, or infinite. */
export function checkMaxPending(value: unknown): number {
  if (value === Number.POSITIVE_INFINITY) return value;
  if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number;
  throw invalidArgument(
    'maxPending',
    `must be a whole number of at least 1, or Infinity, got ${show(value)}`,
  );
}
