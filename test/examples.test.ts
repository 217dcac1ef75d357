import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { changeAll } from '../examples/batch-folder.js';
import { makeBot } from '../examples/discord.js';
import { buildApp as buildFastify } from '../examples/fastify.js';
import { buildApp as buildHono } from '../examples/hono.js';
import { POST } from '../examples/nextjs/app/api/picture/route.js';
import { Image } from '../lib/index.js';
import { ImageEngine } from '../lib/server/engine/index.js';
import { FOLDER } from './pipelines/tiny.js';

// What the examples do, without the services that they are made for.

let engine: ImageEngine;
beforeAll(() => {
  engine = new ImageEngine({ models: { model: { model: FOLDER, device: 'cpu' } }, log: () => {} });
});
afterAll(() => engine.close());

const sizeOf = async (bytes: ArrayBuffer | Uint8Array) => (await Image.open(new Uint8Array(bytes))).width;

test('Fastify: a picture, and what is wrong', async () => {
  const own = new ImageEngine({ models: { model: { model: FOLDER, device: 'cpu' } }, log: () => {} });
  const app = buildFastify(own);
  const base = await app.listen({ port: 0 });
  const headers = { 'content-type': 'application/json' };
  const post = (body: object) =>
    fetch(`${base}/picture`, { method: 'POST', headers, body: JSON.stringify(body) });
  const made = await post({ prompt: 'a lighthouse', steps: 3, seed: 5 });
  expect([made.status, made.headers.get('x-seed')]).toEqual([200, '5']);
  expect(await sizeOf(await made.arrayBuffer())).toBe(64);
  expect((await post({ prompt: 'a', steps: 1000 })).status).toBe(400);
  expect((await post({})).status).toBe(400);
  await app.close();
  await expect(
    own.submit({ model: 'model', task: 'text-to-image', options: { prompt: 'a' } }),
  ).rejects.toThrow();
});

test('Hono: a picture, and a stream of steps', async () => {
  const app = buildHono(engine);
  const made = await app.request('/picture?prompt=a+lighthouse');
  expect(made.headers.get('content-type')).toBe('image/png');
  expect(await sizeOf(await made.arrayBuffer())).toBe(64);
  const text = await (await app.request('/steps?prompt=a+lighthouse')).text();
  expect(text.match(/^event: step$/gm)?.length).toBeGreaterThan(20);
  expect(text).toMatch(/"preview":"[\w+/]{40}/);
  expect(text.trim()).toMatch(/event: done\ndata:$/);
});

test('Next.js: a route handler', async () => {
  process.env.MODEL = FOLDER;
  const post = (body: object) =>
    POST(new Request('http://localhost/api/picture', { method: 'POST', body: JSON.stringify(body) }));
  const made = await post({ prompt: 'a lighthouse', steps: 3 });
  expect([made.status, await sizeOf(await made.arrayBuffer())]).toEqual([200, 64]);
  expect((await post({})).status).toBe(400);
  expect((await post({ prompt: 'a', steps: -1 })).status).toBe(400);
  await (globalThis as { engine?: ImageEngine }).engine?.close();
});

test('a Discord bot: signed commands are answered with pictures', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
  // In the place of Discord's API.
  const told: { url: string; body: Buffer }[] = [];
  const discord = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    told.push({ url: request.url ?? '', body: Buffer.concat(parts) });
    response.writeHead(200).end();
    discord.emit('told');
  }).listen(0, '127.0.0.1');
  await once(discord, 'listening');
  const place = (server: typeof discord) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const bot = makeBot(engine, raw, place(discord)).listen(0, '127.0.0.1');
  await once(bot, 'listening');
  const send = (interaction: object, key = privateKey) => {
    const body = JSON.stringify(interaction);
    const signature = sign(null, Buffer.from(`17${body}`), key).toString('hex');
    const headers = { 'x-signature-ed25519': signature, 'x-signature-timestamp': '17' };
    return fetch(place(bot), { method: 'POST', body, headers });
  };
  expect(await (await send({ type: 1 })).json()).toEqual({ type: 1 });
  const other = generateKeyPairSync('ed25519').privateKey;
  expect((await send({ type: 1 }, other)).status).toBe(401);
  const arrived = once(discord, 'told');
  const options = [{ name: 'prompt', value: 'a lighthouse @everyone' }];
  const command = { type: 2, application_id: 'app', token: 'a/b', data: { name: 'draw', options } };
  expect(await (await send(command)).json()).toEqual({ type: 5 });
  await arrived;
  expect(told[0]?.url).toBe('/webhooks/app/a%2Fb/messages/@original');
  expect(told[0]?.body.includes(Buffer.from([0x89, 0x50, 0x4e, 0x47]))).toBe(true);
  expect(told[0]?.body.toString()).toContain('"allowed_mentions":{"parse":[]}');
  for (const server of [bot, discord]) {
    server.closeAllConnections();
    server.close();
  }
});

test('a folder: all of its pictures, and none twice', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'deepcache-example-'));
  const data = new Uint8Array(3 * 64 * 64).fill(99);
  for (const name of ['one.png', 'two.png'])
    await new Image({ width: 64, height: 64, data }).save(join(folder, name));
  writeFileSync(join(folder, 'notes.txt'), 'no picture');
  const out = join(folder, 'out');
  expect(await changeAll(folder, out, 'a red circle', 4)).toBe(2);
  expect(readdirSync(out).sort()).toEqual(['one.png', 'two.png']);
  expect(await changeAll(folder, out, 'a red circle', 4)).toBe(0);
  rmSync(folder, { recursive: true });
});
