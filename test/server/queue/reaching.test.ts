import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { resolveAddress } from '../../../lib/server/queue/address.js';
import { JobQueue } from '../../../lib/server/queue/index.js';
import { answer, post, until } from '../http/serving.js';
import { describeQueue } from './describe-queue.js';
import { endAll, front, worker } from './machines.js';
import { RedisServer } from './redis-server.js';

// The ways to a Redis.

test('the address of a socket has a path, an account, and no host', () => {
  expect(resolveAddress({ url: 'redis+unix:///run/redis/a b.sock' })).toMatchObject({
    shown: 'redis+unix:///run/redis/a b.sock',
    server: { path: '/run/redis/a b.sock' },
  });
  const { shown, server } = resolveAddress({ url: 'redis+unix://ann:s3%40cret@/run/redis.sock' });
  expect(shown).toBe('redis+unix:///run/redis.sock');
  expect(server).toEqual({ path: '/run/redis.sock', username: 'ann', password: 's3@cret' });
  for (const url of ['redis+unix://', 'redis+unix://host/x', 'redis+unix://ann:s3%cret@/x', 'unix:///x'])
    expect(() => resolveAddress({ url })).toThrow('queue must be an address');
});

describeQueue('a Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterEach(endAll);
  afterAll(() => redis.stop());

  const makesPictures = async (url: string) => {
    const { base, log } = await front(url);
    await worker(url);
    await until(async () => (await fetch(`${base}/readyz`)).status === 200);
    const run = { prompt: 'a', steps: 2, response_format: 'b64_json' };
    expect((await answer(post(`${base}/v1/images/generations`, run))).status).toBe(200);
    return log;
  };

  test('is reached by a socket of this machine', async () => {
    expect(await makesPictures(`redis+unix://${redis.socket}`)).toContain(
      `connected to redis+unix://${redis.socket}`,
    );
  });

  test('is used by an account that may do no more than it needs, in a database of its own', async () => {
    const client = new Redis(redis.url, { db: 5 });
    try {
      const rights = [
        '~{deepcache}*',
        '&{deepcache}*',
        '+@all',
        '-@admin',
        '-@dangerous',
        '+info',
        '+client',
      ];
      await client.call('ACL', 'SETUSER', 'ann', 'on', '>s3:cret/x', ...rights);
      await makesPictures(`redis://ann:s3%3Acret%2Fx@127.0.0.1:${redis.port}/5`);
      expect(await client.dbsize()).toBeGreaterThan(0);
    } finally {
      client.disconnect();
    }
  });

  test('that refuses the account is told of once', async () => {
    const log: string[] = [];
    const url = `redis://ann:wrong@127.0.0.1:${redis.port}`;
    const connecting = JobQueue.connect({ url, log: (line) => void log.push(line) });
    await expect(connecting).rejects.toThrow('does not answer: WRONGPASS');
    expect(log).toEqual([`redis://127.0.0.1:${redis.port} is away: WRONGPASS`]);
  });

  test('of a cluster that has not got the keys is refused', async () => {
    const node = await RedisServer.start([], undefined, { inCluster: true });
    try {
      await expect(front(node.url)).rejects.toMatchObject({
        code: 'ERR_DEEPCACHE_UNSUPPORTED',
        message: expect.stringContaining(`redis://127.0.0.1:${node.port} is a node of a Redis Cluster`),
      });
      await expect(worker(node.url)).rejects.toMatchObject({ code: 'ERR_DEEPCACHE_UNSUPPORTED' });
    } finally {
      await node.stop();
    }
  });
});
