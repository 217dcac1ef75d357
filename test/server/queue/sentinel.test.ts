import { afterEach, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { answer, post, until } from '../http/serving.js';
import { describeQueue } from './describe-queue.js';
import { endAll, front, worker } from './machines.js';
import { RedisServer } from './redis-server.js';

afterEach(endAll);

const RUN = {
  prompt: 'a red barn',
  steps: 300,
  scheduler: 'DDIM',
  width: 128,
  height: 128,
  seed: 3,
  detach: true,
};

describeQueue('Sentinels', () => {
  test('name another server when the master dies, and jobs go on there', async () => {
    const master = await RedisServer.start();
    const replica = await RedisServer.start([], undefined, { replicaOf: master.port });
    const sentinel = await RedisServer.start([], undefined, { watches: master.port });
    const [one, two, watcher] = [master, replica, sentinel].map(({ url }) => new Redis(url)) as [
      Redis,
      Redis,
      Redis,
    ];
    for (const client of [one, two, watcher]) client.on('error', () => {});
    try {
      await until(async () => (await one.info('replication')).includes('state=online'));
      await until(
        async () => ((await watcher.call('SENTINEL', 'replicas', 'queue')) as unknown[]).length === 1,
      );
      const url = `redis+sentinel://127.0.0.1:${sentinel.port}/queue`;
      const log: string[] = [];
      const { base } = await front(url, { limits: { steps: 900 } }, { log: (line) => void log.push(line) });
      await worker(url, { lockSeconds: 2, maxAttempts: 100 });
      await until(async () => (await fetch(`${base}/readyz`)).status === 200);
      const { status, body } = await answer(post(`${base}/api/jobs`, RUN));
      expect(status).toBe(201);
      // A connection that is idle during the election may be closed just when it is used again.
      const anew = { headers: { connection: 'close' } };
      const job = async () => (await answer(fetch(`${base}/api/jobs/${body.id}`, anew))).body;
      await until(async () => ((await job())?.progress?.call ?? 0) >= 3);
      // What a replica has not got yet is lost with the master.
      await one.wait(1, 0);
      await master.kill();
      await until(async () => (await two.info('replication')).includes('role:master'));
      await until(async () => (await job())?.state === 'done');
      const { pathname } = new URL((await job()).images[0].url);
      expect((await fetch(base + pathname)).status).toBe(200);
      expect(log[0]).toBe(`connected to ${url}`);
    } finally {
      await endAll();
      for (const client of [one, two, watcher]) client.disconnect();
      for (const server of [master, replica, sentinel]) await server.stop();
    }
  });
});
