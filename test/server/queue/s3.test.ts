import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { S3Results } from '../../../lib/server/queue/results/in-s3.js';
import { newName } from '../../../lib/server/queue/results/result-store.js';
import { type S3Place, s3Place } from '../../../lib/server/queue/results/s3-place.js';
import { Refused } from '../../../lib/server/queue/retrying.js';
import { answer, post, until } from '../http/serving.js';
import { describeQueue } from './describe-queue.js';
import { endAll, front, worker } from './machines.js';
import { RedisServer } from './redis-server.js';
import { type Admin, S3Server } from './s3-server.js';

// Pictures in a bucket of a server that others have written.

const KEYS = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_REGION',
  'AWS_ENDPOINT_URL',
  'AWS_ENDPOINT_URL_S3',
];
const environment = Object.fromEntries(KEYS.map((name) => [name, process.env[name]]));
let server: S3Server;
let admin: Admin;
beforeAll(async () => {
  server = await S3Server.start('pictures');
  admin = await server.admin();
});
beforeEach(() => {
  for (const name of KEYS) delete process.env[name];
  process.env.AWS_ACCESS_KEY_ID = server.accessKeyId;
  process.env.AWS_SECRET_ACCESS_KEY = server.secretAccessKey;
});
afterEach(endAll);
afterAll(async () => {
  for (const name of KEYS) {
    if (environment[name] === undefined) delete process.env[name];
    else process.env[name] = environment[name];
  }
  admin.close();
  await server.stop();
});

const placeOf = (prefix: string) => `s3://pictures/${prefix}?endpoint=${server.endpoint}`;
const opened = (prefix: string) => S3Results.open(s3Place(placeOf(prefix)) as S3Place);

test('the prefix, the endpoint and the region are parts of a place', () => {
  expect(s3Place('s3://pictures')).toMatchObject({ bucket: 'pictures', prefix: '', shown: 's3://pictures' });
  expect(s3Place('s3://pictures/a/b/?region=eu-west-1')).toMatchObject({
    prefix: 'a/b/',
    region: 'eu-west-1',
  });
  const own = s3Place('s3://pictures/a?endpoint=https://s3.example:9000/');
  expect(own).toMatchObject({
    endpoint: 'https://s3.example:9000',
    shown: 's3://pictures/a at https://s3.example:9000',
  });
  for (const folder of ['pictures', '/s3:/pictures', 's3/pictures', './s3:'])
    expect(s3Place(folder)).toBeUndefined();
});

test.each([
  's3:',
  's3://',
  's3:///secret',
  's3://UP',
  's3://id:secret@pictures',
  's3://pictures/../secret',
  's3://pictures/a//secret',
  's3://pictures/%2e%2e/secret',
  's3://pictures/a?key=secret',
  's3://pictures/a?secret',
  's3://pictures?endpoint=secret',
  's3://pictures?endpoint=ftp://secret',
  's3://pictures?endpoint=http://id:secret@h',
  's3://pictures?region=secret%20',
  's3://pictures#secret',
])('%s is no place, and is not quoted', (text) => {
  let message = '';
  try {
    s3Place(text);
  } catch (error) {
    message = (error as Error).message;
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
  }
  expect(message).toMatch(/^results /);
  expect(message.replace('has "secret" behind', '')).not.toContain('secret');
});

describe('a bucket', () => {
  test('holds what is put there, under names that are ours, and nothing else is touched', async () => {
    const results = await opened('a/b');
    const other = `${newName()}.png`;
    for (const key of ['a/b/notes.txt', other]) await admin.put(key, 'theirs');
    const [one, two] = [newName(), newName()];
    await results.put(one, new Uint8Array([1, 2, 3]));
    await results.put(two, new Uint8Array([4]));
    expect(await results.get(one)).toEqual(Buffer.from([1, 2, 3]));
    expect((await admin.get(`a/b/${one}.png`)).type).toBe('image/png');
    for (const name of [newName(), '../notes', 'notes.txt', ''])
      expect(await results.get(name)).toBeUndefined();
    await results.remove([one, '../notes', newName()]);
    expect(await admin.keys('a/')).toEqual([`a/b/${two}.png`, 'a/b/notes.txt'].sort());
    await results.tidy(60_000);
    expect(await results.get(two)).toEqual(Buffer.from([4]));
    await results.tidy(-60_000);
    expect(await admin.keys('a/')).toEqual(['a/b/notes.txt']);
    expect(await admin.keys('')).toEqual([other, 'a/b/notes.txt'].sort());
    results.close();
  });

  test('gets requests that are signed', async () => {
    const own = await S3Server.start('signed');
    const place = s3Place(`s3://signed/a?endpoint=${own.endpoint}`) as S3Place;
    const results = await S3Results.open(place);
    process.env.AWS_SECRET_ACCESS_KEY = 'wrong';
    const wrong = await S3Results.open(place);
    await own.restart(true);
    const name = newName();
    await results.put(name, new Uint8Array([1, 2]));
    expect(await results.get(name)).toEqual(Buffer.from([1, 2]));
    await expect(wrong.put(name, new Uint8Array([3]))).rejects.toThrow(/SignatureDoesNotMatch/);
    await expect(wrong.get(name)).rejects.toThrow(/signature/);
    await results.remove([name]);
    expect(await results.get(name)).toBeUndefined();
    for (const one of [results, wrong]) one.close();
    await own.stop();
  });

  test('that cannot be used is named before any work', async () => {
    const open = (text: string) => S3Results.open(s3Place(text) as S3Place);
    const bad = (words: RegExp) => ({
      ...{ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT', message: expect.stringMatching(words) },
    });
    const { endpoint } = server;
    await expect(open(`s3://none-such?endpoint=${endpoint}`)).rejects.toMatchObject(
      bad(/^results cannot be used: s3:\/\/none-such at \S+: NoSuchBucket/),
    );
    process.env.AWS_ACCESS_KEY_ID = 'nobody';
    await expect(opened('a')).rejects.toMatchObject(
      bad(/^results cannot be used: s3:\/\/pictures\/a at \S+: InvalidAccessKeyId/),
    );
    process.env.AWS_ACCESS_KEY_ID = server.accessKeyId;
    await expect(open('s3://pictures')).rejects.toMatchObject(
      bad(/^results cannot be used: s3:\/\/pictures: Region is missing/),
    );
    // Nobody is there.
    await expect(open('s3://pictures?endpoint=http://127.0.0.1:1')).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_BACKEND_UNAVAILABLE',
      message: expect.stringMatching(
        /^s3:\/\/pictures at http:\/\/127\.0\.0\.1:1 does not answer: .*ECONNREFUSED/,
      ),
    });
  });

  test('may be named by the environment', async () => {
    process.env.AWS_ENDPOINT_URL_S3 = server.endpoint;
    process.env.AWS_REGION = 'eu-central-1';
    const results = await S3Results.open(s3Place('s3://pictures/c') as S3Place);
    const name = newName();
    await results.put(name, new Uint8Array([7]));
    expect(await admin.keys('c/')).toEqual([`c/${name}.png`]);
    results.close();
  });

  test('that goes away refuses, which is told', async () => {
    const other = await S3Server.start('gone');
    const results = await S3Results.open(s3Place(`s3://gone?endpoint=${other.endpoint}`) as S3Place);
    const own = await other.admin();
    await own.removeBucket();
    own.close();
    await expect(results.put(newName(), new Uint8Array([1]))).rejects.toThrow(Refused);
    await expect(results.put(newName(), new Uint8Array([1]))).rejects.toThrow(
      /^the pictures cannot be stored in s3:\/\/gone at \S+: NoSuchBucket/,
    );
    // What is away is tried again.
    await other.stop();
    await expect(results.put(newName(), new Uint8Array([1]))).rejects.not.toThrow(Refused);
    results.close();
  });
});

describeQueue('jobs whose pictures are in a bucket', () => {
  let redis: RedisServer;
  let keys: Redis;
  beforeAll(async () => {
    redis = await RedisServer.start();
    keys = new Redis(redis.url);
  });
  afterAll(async () => {
    keys.disconnect();
    await redis.stop();
  });

  const RUN = { prompt: 'a', steps: 2, numImages: 2, detach: true };

  test('are fetched at every server, and forgotten with them', async () => {
    const results = placeOf('jobs');
    await worker(redis.url, { results });
    const one = await front(redis.url, {}, { results });
    const two = await front(redis.url, {}, { results });
    const { status, body } = await answer(post(`${one.base}/api/jobs`, RUN));
    expect(status).toBe(201);
    const job = async () => (await answer(fetch(`${two.base}/api/jobs/${body.id}`))).body;
    await until(async () => (await job()).state === 'done');
    expect(await admin.keys('jobs/')).toHaveLength(2);
    expect(await keys.keys('*:picture:*')).toEqual([]);
    // What lies there is what is sent.
    const { images } = await job();
    for (const { url } of images) {
      const sent = new Uint8Array(await (await fetch(url)).arrayBuffer());
      const stored = await Promise.all((await admin.keys('jobs/')).map((key) => admin.get(key)));
      expect(stored.some(({ bytes }) => bytes.equals(sent))).toBe(true);
    }
    const webp = await fetch(images[1].url.replace('.png', '.webp'));
    expect(webp.headers.get('content-type')).toBe('image/webp');
    await front(redis.url, { keepSeconds: 0 }, { results });
    await until(async () => (await admin.keys('jobs/')).length === 0);
    expect((await fetch(images[0].url)).status).toBe(404);
  });

  test('wait for it where it is away, and their callers are told', async () => {
    const other = await S3Server.start('pictures');
    try {
      const results = `s3://pictures/away?endpoint=${other.endpoint}`;
      const { base, log } = await front(redis.url, {}, { results });
      const told: string[] = [];
      await worker(redis.url, { results, log: (line) => void told.push(line) });
      await until(async () => (await fetch(`${base}/readyz`)).status === 200);
      await other.close();
      const { status, body } = await answer(post(`${base}/api/jobs`, RUN));
      expect(status).toBe(201);
      const job = async () => (await answer(fetch(`${base}/api/jobs/${body.id}`))).body;
      await until(() =>
        told.some((line) => line.includes(`job ${body.id}`) && line.includes('ECONNREFUSED')),
      );
      expect((await job()).state).toBe('running');
      await other.restart();
      await until(async () => (await job()).state === 'done');
      const { images } = await job();
      await other.close();
      const away = await answer(fetch(images[0].url));
      expect([away.status, away.body.error.code, away.headers.get('retry-after')]).toEqual([
        ...[503, 'results_unavailable', '5'],
      ]);
      expect(log.some((line) => line.includes('ECONNREFUSED'))).toBe(true);
      await other.restart();
      expect((await fetch(images[0].url)).status).toBe(200);
    } finally {
      await endAll();
      await other.stop();
    }
  });
});
