import type { Redis } from 'ioredis';
import { DeepCacheError, messageOf } from '../../errors.js';
import type { Place } from './address.js';

/** Milliseconds that a command may take, and that a connection may be silent when it is asked. */
const PATIENCE = 5000;
/** Milliseconds between two questions whether the other side is there. */
const HEARTBEAT = 5000;

/** The packages of the queue: who does not use it need not have them. */
export async function loadPackages() {
  try {
    const [bullmq, ioredis] = await Promise.all([import('bullmq'), import('ioredis')]);
    return { Queue: bullmq.Queue, Worker: bullmq.Worker, Redis: ioredis.Redis };
  } catch (cause) {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_UNSUPPORTED',
      'the packages bullmq and ioredis are needed for a queue: npm install bullmq ioredis',
      { cause },
    );
  }
}

/** A connection, and what ends it. */
export interface Connection {
  readonly redis: Redis;
  /** Why it is not there; undefined while it is. */
  problem(): string | undefined;
  close(): void;
}

/**
 * Connects, and connects again whenever the connection is lost, also where it was lost without a word. While there is none,
 * commands fail at once.
 *
 * @param log is told, each time once, when the connection is there, and why it is not.
 */
export function connect(
  RedisClass: typeof Redis,
  { server, shown }: Place,
  log: (message: string) => void = () => {},
): Connection {
  const options: Place['server'] = {
    ...server,
    ...{ lazyConnect: true, enableOfflineQueue: false, maxRetriesPerRequest: 0, protocol: 2 },
    ...{ connectTimeout: PATIENCE, commandTimeout: PATIENCE, noDelay: true },
    retryStrategy: (times) => Math.min(100 * times, 2000),
    sentinelRetryStrategy: (times) => Math.min(100 * times, 2000),
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  };
  const redis = new RedisClass(options);
  let problem: string | undefined = 'not connected yet';
  const become = (now: string | undefined) => {
    if (now === problem) return;
    problem = now;
    log(now === undefined ? `connected to ${shown}` : `${shown} is away: ${now}`);
  };
  let reason: string | undefined;
  redis.on('ready', () => {
    reason = undefined;
    become(undefined);
  });
  redis.on('error', (error: Error) => {
    // What Redis answers begins with a word for it, such as WRONGPASS.
    reason = (error as NodeJS.ErrnoException).code ?? /^[A-Z]+\b/.exec(error.message)?.[0] ?? error.name;
  });
  let isClosed = false;
  redis.on('close', () => {
    if (!isClosed) become(reason ?? 'the connection was closed');
  });
  redis.connect().catch(() => {});
  const timer = setInterval(() => {
    if (redis.status === 'ready') redis.ping().catch(() => redis.disconnect(true));
  }, HEARTBEAT);
  timer.unref();
  return {
    redis,
    problem: () => problem,
    close: () => {
      isClosed = true;
      clearInterval(timer);
      redis.disconnect();
    },
  };
}

/**
 * Resolves when the connection is there; rejects after a while without one, in words without the address, and for a node of a
 * Redis Cluster that has not got the queue's keys.
 */
export async function whenReady(connection: Connection, { shown, prefix }: Place): Promise<void> {
  await connected(connection, shown);
  const answer = await connection.redis.exists(`${prefix}:`).catch(messageOf);
  if (/^(MOVED|ASK|CLUSTERDOWN)\b/.test(String(answer)))
    throw new DeepCacheError(
      'ERR_DEEPCACHE_UNSUPPORTED',
      `${shown} is a node of a Redis Cluster, and the queue's keys belong to another one: clusters are not followed; give a Redis of its own, behind Sentinels if it must not fail`,
    );
}

async function connected({ redis }: Connection, shown: string): Promise<void> {
  if (redis.status === 'ready') return;
  await new Promise<void>((resolve, reject) => {
    let last: string | undefined;
    const onError = (error: Error) => {
      last = messageOf(error);
    };
    const end = (work: () => void) => () => {
      clearTimeout(timer);
      redis.off('ready', onReady);
      redis.off('error', onError);
      work();
    };
    const onReady = end(resolve);
    const timer = setTimeout(
      end(() => {
        const why = last === undefined ? '' : `: ${last}`;
        reject(new DeepCacheError('ERR_DEEPCACHE_BACKEND_UNAVAILABLE', `${shown} does not answer${why}`));
      }),
      PATIENCE,
    );
    redis.on('ready', onReady);
    redis.on('error', onError);
  });
}
