import type { Redis } from 'ioredis';

/** Wakes those who wait for news. A message may be lost with its connection: who waits looks again after a while anyway. */
export class Feed {
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #handlers = new Map<string, (message: string) => void>();

  constructor(private readonly redis: Redis) {
    redis.on('message', (channel: string, message: string) => {
      this.#handlers.get(channel)?.(message);
      for (const wake of this.#listeners.get(channel) ?? []) wake();
    });
    // A first subscription that failed for want of a connection is made up for.
    redis.on('ready', () => {
      const channels = [...this.#listeners.keys(), ...this.#handlers.keys()];
      if (channels.length > 0) redis.subscribe(...channels).catch(() => {});
    });
  }

  /** Calls a function with all messages of a channel. */
  on(channel: string, handle: (message: string) => void): void {
    this.#handlers.set(channel, handle);
    this.redis.subscribe(channel).catch(() => {});
  }

  /** Listens to a channel until it is closed. */
  async listen(channel: string): Promise<News> {
    const news = new News(() => {
      const all = this.#listeners.get(channel);
      all?.delete(news.wake);
      if (all?.size !== 0) return;
      this.#listeners.delete(channel);
      this.redis.unsubscribe(channel).catch(() => {});
    });
    const others = this.#listeners.get(channel);
    if (others) {
      others.add(news.wake);
    } else {
      this.#listeners.set(channel, new Set([news.wake]));
      await this.redis.subscribe(channel).catch(() => {});
    }
    return news;
  }
}

/** What has happened since it was looked at last. */
export class News {
  #hasCome = false;
  #resolve: (() => void) | undefined;

  constructor(readonly close: () => void) {}

  readonly wake = (): void => {
    this.#hasCome = true;
    this.#resolve?.();
  };

  /** Resolves at once where something has happened, else when it does, or after so many milliseconds. */
  async next(milliseconds: number): Promise<void> {
    if (!this.#hasCome) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
        timer = setTimeout(resolve, milliseconds);
        timer.unref();
      });
      clearTimeout(timer);
      this.#resolve = undefined;
    }
    this.#hasCome = false;
  }
}
