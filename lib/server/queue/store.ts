import type { Redis } from 'ioredis';
import { SCRIPTS, type ScriptName } from './scripts/index.js';

type Argument = string | number | Uint8Array;

/** What Redis keeps of jobs, by scripts that do their work at once or not at all. */
export class Store {
  /**
   * @param redis fails at once where there is no connection.
   * @param prefix of the names of all keys.
   */
  constructor(
    readonly redis: Redis,
    readonly prefix: string,
  ) {
    for (const [name, lua] of Object.entries(SCRIPTS))
      redis.defineCommand(`deepcache_${name}`, { numberOfKeys: 1, lua });
  }

  /** Runs a script; texts come back as texts. */
  run<T>(name: ScriptName, ...args: readonly Argument[]): Promise<T> {
    const commands = this.redis as unknown as Record<string, (...all: unknown[]) => Promise<T>>;
    const given = args.map((value) => (typeof value === 'object' ? Buffer.from(value) : value));
    return (commands[`deepcache_${name}`] as (...all: unknown[]) => Promise<T>).call(
      this.redis,
      this.prefix,
      ...given,
    );
  }

  key(...parts: readonly string[]): string {
    return [this.prefix, ...parts].join(':');
  }

  /** The events of a job from that of an index on, as texts. */
  async events(id: string, from: number): Promise<{ index: number; text: string }[]> {
    const found = await this.redis.xrange(this.key('events', id), `${from + 1}-0`, '+', 'COUNT', 200);
    return found.map(([name, fields]) => ({ index: Number.parseInt(name, 10) - 1, text: fields[1] ?? '' }));
  }

  /** The preview of an event: undefined where a newer one has taken its place. */
  async preview(id: string, index?: number): Promise<Buffer | undefined> {
    const key = this.key('look', id);
    const [event, bytes] = await this.redis.hmgetBuffer(key, 'event', 'bytes');
    if (!event || !bytes) return undefined;
    return index === undefined || Number(event.toString()) === index + 1 ? bytes : undefined;
  }

  /** The binary parts of a request. */
  async parts(id: string): Promise<Uint8Array[]> {
    const all = await this.redis.hgetallBuffer(this.key('input', id));
    return Object.keys(all)
      .sort((a, b) => Number(a) - Number(b))
      .map((name) => new Uint8Array(all[name] as Buffer));
  }
}
