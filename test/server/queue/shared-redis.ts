import { afterAll, afterEach, beforeAll } from '@jest/globals';
import { Redis } from 'ioredis';
import { endAll } from './machines.js';
import { RedisServer } from './redis-server.js';

/** What the tests of a file, or of a `describe`, have in common. */
export interface SharedRedis {
  readonly server: RedisServer;
  /** Looks at it, also after it was away. */
  readonly client: Redis;
}

/** A Redis for all tests of a file, or of a `describe`: servers and workers end with each of them, and all keys go. */
export function sharedRedis(): SharedRedis {
  let server: RedisServer;
  let client: Redis;
  beforeAll(async () => {
    server = await RedisServer.start();
    client = new Redis(server.url, { retryStrategy: () => 50 });
    client.on('error', () => {});
  });
  afterEach(async () => {
    await endAll();
    await client.flushall();
  });
  afterAll(async () => {
    client.disconnect();
    await server.stop();
  });
  return {
    get server() {
      return server;
    },
    get client() {
      return client;
    },
  };
}
