import type { Store } from '../store.js';
import { isName, type ResultStore } from './result-store.js';

/** Pictures in Redis itself, which needs the memory for them. */
export class RedisResults implements ResultStore {
  readonly isLimited = true;

  constructor(private readonly store: Store) {}

  async put(name: string, bytes: Uint8Array, milliseconds: number): Promise<void> {
    await this.store.redis.set(this.#key(name), Buffer.from(bytes), 'PX', milliseconds);
  }

  async get(name: string): Promise<Buffer | undefined> {
    return (await this.store.redis.getBuffer(this.#key(name))) ?? undefined;
  }

  async remove(names: readonly string[]): Promise<void> {
    const keys = names.filter(isName).map((name) => this.#key(name));
    if (keys.length > 0) await this.store.redis.del(...keys);
  }

  #key(name: string): string {
    return this.store.key('picture', name);
  }
}
