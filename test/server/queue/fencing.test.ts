import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { resolveAddress } from '../../../lib/server/queue/address.js';
import { pack, unpackOptions } from '../../../lib/server/queue/codec.js';
import { FolderResults } from '../../../lib/server/queue/results/in-folder.js';
import { namesIn, readError, readMade } from '../../../lib/server/queue/results/made.js';
import { newName } from '../../../lib/server/queue/results/result-store.js';
import { readModel } from '../../../lib/server/queue/roster.js';
import { Store } from '../../../lib/server/queue/store.js';
import { answer, post, until } from '../http/serving.js';
import { describeQueue } from './describe-queue.js';
import { endAll, front, worker } from './machines.js';
import { sharedRedis } from './shared-redis.js';

const shared = sharedRedis();
let store: Store;
beforeAll(() => {
  store = new Store(shared.client, '{t}');
});

const FIELDS = {
  ...{ owner: 'ann', model: 'm', task: 'text-to-image', about: '{}', token: 't'.repeat(32), priority: 0 },
  ...{ bytes: 0, units: 10, once: '', digest: '', hook: '', detach: 0, newest: false, rate: 1, stretch: 8 },
  ...{ lease: 60_000, keep: 600_000, maxQueued: 10, maxPending: 10, maxBytes: 100 },
};
const accept = (id: string, more: object = {}) =>
  store.run<string[]>('accept', id, JSON.stringify({ ...FIELDS, token: `t${id}`, ...more }), '{}');
const begin = async (id: string, token: string, most = 3) => {
  await shared.client.set(`lock:${id}`, token);
  return (await store.run<unknown[]>('begin', id, `lock:${id}`, token, most, '{}'))[0];
};
const push = (id: string, token: string, from: number, ...events: string[]) =>
  store.run<number>('push', id, token, from, 0, '', '{}', ...events);
const finish = (id: string, token: string, text = '{}', bytes = 5) =>
  store.run<number>('finish', id, token, 'done', text, bytes, '', '{"type":"done"}');
const told = async (id: string) =>
  (await store.events(id, 0)).map(({ text }) => JSON.parse(text).type ?? text);

describeQueue('an attempt that is not the newest', () => {
  test('tells nothing, and its result is nobody’s', async () => {
    await accept('1');
    expect(await begin('1', 'first')).toBe('run');
    expect(await push('1', 'first', 0, '{"type":"a"}', '{"type":"b"}')).toBe(1);
    // What is said again, for want of an answer, was said once.
    expect(await push('1', 'first', 0, '{"type":"a"}', '{"type":"b"}', '{"type":"c"}')).toBe(1);
    expect(await begin('1', 'second')).toBe('run');
    expect(await push('1', 'first', 3, '{"type":"late"}')).toBe(0);
    expect(await finish('1', 'first', '{"of":"first"}')).toBe(0);
    expect(await store.run('giveBack', '1', 'first')).toBe(0);
    expect(await finish('1', 'second', '{"of":"second"}')).toBe(1);
    expect(await finish('1', 'second', '{"of":"nobody"}')).toBe(1);
    expect(await finish('1', 'first', '{"of":"first"}')).toBe(0);
    expect(await shared.client.hget('{t}:job:1', 'result')).toBe('{"of":"second"}');
    expect(await shared.client.get('{t}:made')).toBe('5');
    expect(await told('1')).toEqual(['queued', 'started', 'a', 'b', 'c', 'started', 'done']);
    expect(await begin('1', 'third')).toBe('over');
  });

  test('begins only with the lock, and only as often as it may', async () => {
    await accept('1');
    await shared.client.set('lock:1', 'somebody');
    expect((await store.run<unknown[]>('begin', '1', 'lock:1', 'nobody', 3, '{}'))[0]).toBe('lost');
    expect(await begin('1', 'a', 2)).toBe('run');
    expect(await store.run('giveBack', '1', 'a')).toBe(1);
    expect([await begin('1', 'b', 2), await begin('1', 'c', 2), await begin('1', 'd', 2)]).toEqual([
      ...['run', 'run', 'spent'],
    ]);
    expect(await shared.client.hget('{t}:job:1', 'state')).toBe('failed');
    expect(await finish('1', 'c')).toBe(0);
    expect(await begin('2', 'x')).toBe('gone');
  });

  test('has nothing to say after the job was cancelled', async () => {
    for (const id of ['1', '2', '3']) await accept(id);
    expect(await begin('1', 'a')).toBe('run');
    expect(await store.run('cancel', '1')).toEqual(['running', 'm']);
    expect([await push('1', 'a', 0, '{"type":"late"}'), await finish('1', 'a')]).toEqual([0, 0]);
    expect(await store.run('cancel', '1')).toEqual(['cancelled', 'm']);
    expect(await told('1')).toEqual(['queued', 'started', 'cancelled']);
    expect(await store.run('cancel', 'none')).toEqual([]);
    // The others are as they were.
    expect(await shared.client.zrange('{t}:queued', '0', '-1')).toEqual(['2', '3']);
    expect(await store.run('pick', 'm')).toEqual(['m', '2']);
    // Who has been picked is not picked by others.
    expect([await store.run('pick', 'm'), await store.run('pick', 'm')]).toEqual([['m', '3'], []]);
  });

  test('is not made of a job that was refused', async () => {
    expect((await accept('1', { bytes: 90 }))[0]).toBe('accepted');
    expect(await accept('2', { bytes: 20 })).toEqual(['bytes', 90]);
    expect(await accept('3', { maxPending: 1 })).toEqual(['pending', 1]);
    expect(await accept('4', { maxQueued: 1 })).toEqual(['full', 1]);
    expect(await shared.client.exists('{t}:job:2', '{t}:job:3', '{t}:job:4')).toBe(0);
    expect((await accept('5', { once: 'k', digest: 'd' }))[0]).toBe('accepted');
    expect(await accept('6', { once: 'k', digest: 'd', maxQueued: 0 })).toEqual(['repeat', '5']);
    expect(await accept('7', { once: 'k', digest: 'e' })).toEqual(['conflict']);
  });
});

describeQueue('what nobody looks after', () => {
  const sweep = (keep = 600_000, bytes = 100, gap = 3_600_000) =>
    store.run<[string[], string[], string[]]>('sweep', keep, bytes, gap);

  test('is cancelled when the last wish has run out, and not because nobody could renew it', async () => {
    await accept('1', { lease: 60_000 });
    await accept('2', { lease: 60_000 });
    await accept('3', { detach: 1, lease: -1 });
    await sweep();
    // Milliseconds below none have run out at once.
    await store.run('lease', '1', 'one', 60_000, 0);
    await store.run('lease', '1', 'one', -1, 1);
    await store.run('lease', '2', 'one', 60_000, 0);
    await store.run('lease', '2', 'other', 60_000, 0);
    await store.run('lease', '2', 'one', -1, 1);
    await store.run('lease', '2', 'other', -1, 0);
    expect((await sweep())[0]).toEqual(['m', '1']);
    expect(await shared.client.zcard('{t}:leases')).toBe(1);
    // Redis was away for a while: as long as that is everybody's patience prolonged.
    await accept('4', { lease: -1000 });
    const before = Number(await shared.client.zscore('{t}:leases', '4'));
    await shared.client.set('{t}:swept', Date.now() - 20_000);
    expect((await sweep(600_000, 100, 5000))[0]).toEqual([]);
    expect(Number(await shared.client.zscore('{t}:leases', '4')) - before).toBeGreaterThanOrEqual(20_000);
  });

  test('is forgotten after its time, or when others need the room; what BullMQ may not have is told', async () => {
    await accept('1');
    await begin('1', 'a');
    await finish('1', 'a', '{"pictures":[]}', 60);
    await accept('2', { once: 'k' });
    await begin('2', 'b');
    await finish('2', 'b', '{}', 60);
    expect((await sweep())[1]).toEqual(['{"pictures":[]}']);
    expect(await shared.client.get('{t}:made')).toBe('60');
    expect((await sweep(-1))[1]).toEqual(['{}']);
    expect(await shared.client.keys('{t}:*:[12]')).toEqual([]);
    expect(await shared.client.exists('{t}:once:k')).toBe(0);
    await accept('3');
    await shared.client.zadd('{t}:unadded', Date.now() + 60_000, '3');
    expect((await sweep())[2]).toEqual([]);
    await shared.client.zadd('{t}:unadded', Date.now() - 10_000, '3');
    expect((await sweep())[2]).toEqual(['m', '3']);
  });
});

describeQueue('what Redis holds is data', () => {
  test('a request that names a file is refused by the worker, whoever wrote it', async () => {
    const png = new Uint8Array([1, 2, 3]);
    const sent = { prompt: 'a', seed: 2n ** 63n - 1n, image: png, cache: { $bytes: 0, $x: [1] } };
    const packed = pack(sent);
    expect(unpackOptions(packed)).toEqual(sent);
    for (const options of [
      ...[{ image: '/etc/passwd' }, { image: ['/etc/passwd'] }, { image: { data: 'x', width: 1 } }],
      ...[{ output: '/tmp/x' }, { unet: '/tmp/x' }, { image: { $bytes: 7 } }, { onStep: 1 }],
      ...[{ upscale: '/tmp/x.pth' }, { hiresFix: { upscaler: '/tmp/x.pth' } }, [], 'text', null],
    ])
      expect(() => unpackOptions({ text: JSON.stringify(options), parts: [] })).toThrow(
        expect.objectContaining({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' }),
      );
    expect(() => unpackOptions({ text: 'no JSON', parts: [] })).toThrow('none of ours');
  });

  test('a request that was tampered with fails, and the worker goes on', async () => {
    const { base, log } = await front(shared.server.url);
    const busy = await worker(shared.server.url);
    await until(async () => (await fetch(`${base}/readyz`)).status === 200);
    await busy.close();
    const run = { prompt: 'a', steps: 2, detach: true };
    const ids: string[] = [];
    for (let i = 0; i < 4; i++) ids.push((await answer(post(`${base}/api/jobs`, run))).body.id);
    const [file, junk, none, good] = ids;
    const options = { prompt: 'a', image: '/etc/passwd', strength: 0.5 };
    await shared.client.hset(`{deepcache}:job:${file}`, 'request', JSON.stringify(options));
    await shared.client.hset(`{deepcache}:job:${junk}`, 'about', '{"task":"rm -rf"}');
    await shared.client.del(`{deepcache}:job:${none}`);
    await worker(shared.server.url);
    const stateOf = async (id?: string) => (await answer(fetch(`${base}/api/jobs/${id}`))).body.state;
    await until(async () => (await stateOf(good)) === 'done');
    await until(async () => (await stateOf(file)) === 'failed');
    expect((await answer(fetch(`${base}/api/jobs/${file}`))).body.error.message).toContain('none of ours');
    expect((await fetch(`${base}/api/jobs/${none}`)).status).toBe(404);
    // Ids and tokens of callers are looked at before they become parts of keys.
    for (const path of ['/api/jobs/*', '/api/jobs/..%2f..', `/api/jobs/${'x'.repeat(99)}`, '/files/../0.png'])
      expect((await fetch(base + path)).status).toBe(404);
    expect(log.join('\n')).not.toContain('/etc/passwd');
  });

  test('names of pictures become no path, and results of others no code', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'deepcache-results-'));
    try {
      const results = await FolderResults.open(join(folder, 'pictures'));
      writeFileSync(join(folder, 'secret.png'), 'secret');
      expect(await results.get('../secret')).toBeUndefined();
      expect(await results.get(`../../${newName()}`)).toBeUndefined();
      await results.remove(['../secret']);
      const name = newName();
      await results.put(name, new Uint8Array([1, 2]));
      expect(await results.get(name)).toEqual(Buffer.from([1, 2]));
      expect(readdirSync(join(folder, 'pictures'))).toEqual([`${name}.png`]);
      await results.tidy(60_000);
      expect(readdirSync(join(folder, 'pictures'))).toHaveLength(1);
      await results.tidy(-1000);
      expect(readdirSync(folder).sort()).toEqual(['pictures', 'secret.png']);
      expect(readdirSync(join(folder, 'pictures'))).toEqual([]);
      const pictures = [{ name: '../secret', width: 1, height: 1 }, null, { name, width: 2, height: 3 }];
      expect(namesIn(JSON.stringify({ pictures }))).toEqual([name]);
      expect(namesIn('no JSON')).toEqual([]);
      const made = readMade(JSON.stringify({ pictures, seeds: ['9223372036854775807', 4] }), results);
      expect(made.pictures).toHaveLength(1);
      expect(made.seeds).toEqual([2n ** 63n - 1n, 4]);
      await expect(made.pictures[0]?.file('png')).rejects.toMatchObject({ status: 404 });
      expect(readError('{"code":"__proto__","message":"x"}')).toMatchObject({ message: 'x' });
      for (const card of [
        '',
        '[]',
        '{"className":1}',
        '{"className":"A","facts":{},"scheduler":{"_class_name":"X"}}',
      ])
        expect(readModel(`{"card":${card}}`).card).toBeUndefined();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('pictures in a folder are those of the jobs', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'deepcache-results-'));
    try {
      const { base } = await front(shared.server.url, {}, { results: folder });
      await worker(shared.server.url, { results: folder });
      await until(async () => (await fetch(`${base}/readyz`)).status === 200);
      const { body } = await answer(
        post(`${base}/v1/images/generations`, { prompt: 'a', steps: 2, response_format: 'url' }),
      );
      expect((await fetch(body.data[0].url)).status).toBe(200);
      expect(readdirSync(folder)).toHaveLength(1);
      expect(await shared.client.keys('*:picture:*')).toEqual([]);
      await front(shared.server.url, { keepSeconds: 0 }, { results: folder });
      await until(() => readdirSync(folder).length === 0);
    } finally {
      await endAll();
      rmSync(folder, { recursive: true });
    }
  });

  test('an address is no secret, but its password is', async () => {
    for (const url of [
      ...['http://localhost', 'redis://', 'redis://:s3cret@h/x', 'redis://:s3cret@h?a=b', 7],
      ...[
        'redis://:s3cret@h,i',
        'redis://:s3cret@h:99999',
        'redis+sentinel://:s3cret@h',
        'redis://:s3%cret@h',
      ],
    ])
      expect(() => resolveAddress({ url: url as string })).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining('s3cret') }),
      );
    expect(() => resolveAddress({ url: shared.server.url, prefix: 'a:b' })).toThrow('queuePrefix');
    expect(() => resolveAddress({ url: shared.server.url, caFile: '/none' })).toThrow(
      'queueCa cannot be read',
    );
    expect(resolveAddress({ url: 'rediss://ann:s3cret@h:1/2' }).shown).toBe('rediss://h:1/2');
    const sentinels = 'rediss+sentinel://ann:s3%40cret@one,[::1]:26380/queue/3';
    expect(resolveAddress({ url: sentinels })).toMatchObject({
      shown: 'rediss+sentinel://one,[::1]:26380/queue/3',
      server: {
        ...{ username: 'ann', password: 's3@cret', name: 'queue', db: 3, tls: {} },
        sentinels: [
          { host: 'one', port: 26_379 },
          { host: '::1', port: 26_380 },
        ],
      },
    });
    const { hostname, port } = new URL(shared.server.url);
    const lines: string[] = [];
    const log = (line: string) => void lines.push(line);
    // Redis without passwords does not take one.
    await front(`redis://ann:s3cret@${hostname}:${port}`, {}, { log }).catch((error) =>
      lines.push(String(error)),
    );
    expect(lines.join()).not.toContain('s3cret');
    expect(lines.join()).toContain(`redis://${hostname}:${port}`);
  });

  test('prefixes keep queues apart', async () => {
    const one = await front(shared.server.url, {}, { prefix: 'one' });
    await worker(shared.server.url, { prefix: 'two' });
    const two = await front(shared.server.url, {}, { prefix: 'two' });
    expect((await fetch(`${one.base}/readyz`)).status).toBe(503);
    expect((await answer(post(`${two.base}/v1/images/generations`, { prompt: 'a', steps: 2 }))).status).toBe(
      200,
    );
    expect((await shared.client.keys('*')).filter((key) => !/^(one|two):/.test(key))).toEqual([]);
  });
});
