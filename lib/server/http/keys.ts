import { createHash, randomBytes } from 'node:crypto';
import { invalidArgument } from '../../errors.js';
import { show } from '../../messages.js';
import { checkNames } from '../../names.js';
import { RequestError } from './errors.js';
import { type Limits, resolveLimits } from './limits.js';

/** Who may use the server, and how much. */
export interface ApiKey {
  /** What logs and metrics call it. */
  name: string;
  /** SHA-256 of the key in hexadecimal, as {@link makeApiKey} gives it. */
  hash: string;
  /** Of its jobs: those of a higher one go first. Default 0. */
  priority?: number;
  /** Jobs that may wait or run at the same time. Default: as many as there is room for. */
  maxPending?: number;
  /** Requests in a minute. Default: as the server's. */
  requestsPerMinute?: number;
  /** Where its limits differ from the server's. */
  limits?: Partial<Limits>;
}

const NAMES = ['name', 'hash', 'priority', 'maxPending', 'requestsPerMinute', 'limits'];

/** Who makes a request. */
export interface Caller {
  /** The key's name, or the address where no keys are needed. */
  readonly id: string;
  readonly limits: Limits;
  readonly priority: number;
  readonly maxPending: number;
  readonly requestsPerMinute: number;
}

/**
 * A new key. Only its hash is kept: a key has 256 random bits, so a fast hash is as safe as a slow one.
 *
 * @returns the key, which its user gets, and the entry for the server.
 */
export function makeApiKey(name: string): { key: string; entry: ApiKey } {
  const key = `dc_${randomBytes(32).toString('base64url')}`;
  return { key, entry: { name, hash: hashOf(key) } };
}

function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** The keys of a server. */
export class KeyRing {
  readonly #callers = new Map<string, Caller>();

  /**
   * @param keys none: everybody may call, and is told apart by address.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a key that is none.
   */
  constructor(
    keys: readonly ApiKey[],
    private readonly limits: Limits,
    private readonly requestsPerMinute: number,
  ) {
    const names = new Set<string>();
    for (const [i, key] of keys.entries()) {
      const own = `keys[${i}]`;
      if (typeof key !== 'object' || key === null)
        throw invalidArgument(own, `must be an object, got ${show(key)}`);
      checkNames(key, NAMES, `${own}.`);
      if (typeof key.name !== 'string' || !/^[\w .@-]{1,100}$/.test(key.name))
        throw invalidArgument(`${own}.name`, 'must be 1 to 100 letters, digits, spaces and . _ @ -');
      if (names.has(key.name)) throw invalidArgument(`${own}.name`, `is taken: ${key.name}`);
      names.add(key.name);
      if (typeof key.hash !== 'string' || !/^[0-9a-f]{64}$/.test(key.hash))
        throw invalidArgument(`${own}.hash`, 'must be the SHA-256 of the key: 64 hexadecimal digits');
      for (const name of ['priority', 'maxPending', 'requestsPerMinute'] as const) {
        const value = key[name];
        if (value !== undefined && (!Number.isSafeInteger(value) || (name !== 'priority' && value < 1)))
          throw invalidArgument(`${own}.${name}`, `must be a whole number, got ${show(value)}`);
      }
      this.#callers.set(key.hash, {
        id: key.name,
        limits: resolveLimits(key.limits, limits, `${own}.limits`),
        priority: key.priority ?? 0,
        maxPending: key.maxPending ?? Number.POSITIVE_INFINITY,
        requestsPerMinute: key.requestsPerMinute ?? requestsPerMinute,
      });
    }
  }

  /** Whether callers need a key. */
  get isNeeded(): boolean {
    return this.#callers.size > 0;
  }

  /**
   * Who sends a request: its key is in `Authorization: Bearer KEY`, in `X-Api-Key`, or the password of Basic.
   *
   * @throws RequestError 401
   */
  callerOf(headers: Readonly<Record<string, unknown>>, address: string): Caller {
    if (!this.isNeeded) {
      const { limits, requestsPerMinute } = this;
      return { id: address, limits, priority: 0, maxPending: Number.POSITIVE_INFINITY, requestsPerMinute };
    }
    const key = keyIn(headers);
    if (key === undefined)
      throw new RequestError(401, 'unauthorized', 'a key is needed: send Authorization: Bearer KEY');
    const caller = this.#callers.get(hashOf(key));
    if (!caller) throw new RequestError(401, 'unauthorized', 'the key is not known here');
    return caller;
  }
}

function keyIn(headers: Readonly<Record<string, unknown>>): string | undefined {
  const { authorization, 'x-api-key': own } = headers;
  if (typeof own === 'string') return own;
  if (typeof authorization !== 'string') return undefined;
  const [, scheme = '', value = ''] = /^(\w+) +(\S+)$/.exec(authorization.trim()) ?? [];
  if (/^bearer$/i.test(scheme)) return value;
  if (!/^basic$/i.test(scheme)) return undefined;
  const text = Buffer.from(value, 'base64').toString('utf8');
  return text.slice(text.indexOf(':') + 1);
}
