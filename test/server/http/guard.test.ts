import { execFileSync } from 'node:child_process';
import { request } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import { ImageServer, makeApiKey } from '../../../lib/server/http/index.js';
import { FakeEngine } from './fake-engine.js';
import { answer, closeAll, post, serve, until } from './serving.js';

afterEach(closeAll);

const nothing = () => {};

describe('keys', () => {
  test('are needed where there are some, in any of the usual headers', async () => {
    const { key, entry } = makeApiKey('ann');
    const { base } = await serve({ keys: [entry] });
    const basic = `Basic ${Buffer.from(`user:${key}`).toString('base64')}`;
    for (const headers of [
      { authorization: `Bearer ${key}` },
      { 'x-api-key': key },
      { authorization: basic },
    ])
      expect((await fetch(`${base}/api/jobs`, { headers })).status).toBe(200);
    for (const headers of [
      {},
      { authorization: 'Bearer dc_none' },
      { authorization: `Bearer ${entry.hash}` },
    ]) {
      const refused = await answer(fetch(`${base}/api/jobs`, { headers }));
      expect([refused.status, refused.body.error.code]).toEqual([401, 'unauthorized']);
      expect(refused.headers.get('www-authenticate')).toBe('Bearer');
    }
    for (const path of ['metrics', 'v1/models', 'sdapi/v1/options'])
      expect((await fetch(`${base}/${path}`)).status).toBe(401);
    for (const path of ['healthz', 'readyz', 'openapi.json'])
      expect((await fetch(`${base}/${path}`)).status).toBe(200);
  });

  test('have limits of their own', async () => {
    const { key, entry } = makeApiKey('ann');
    const { engine, base } = await serve({
      keys: [{ ...entry, maxPending: 2, priority: 3, limits: { steps: 10 } }],
    });
    engine.onJob = nothing;
    const send = (body: object) => answer(post(`${base}/api/jobs`, body, { authorization: `Bearer ${key}` }));
    expect((await send({ prompt: 'a', steps: 11 })).body.error.message).toBe(
      'steps is 11; this server allows at most 10 steps',
    );
    // All at once: none slips through.
    const all = await Promise.all([1, 2, 3, 4].map(() => send({ prompt: 'a', priority: 9 })));
    expect(all.map(({ status }) => status).sort()).toEqual([201, 201, 429, 429]);
    expect(all.find(({ status }) => status === 429)?.headers.get('retry-after')).toBe('12');
    expect(engine.jobs.map(({ request }) => request.priority)).toEqual([3, 3]);
    engine.jobs[0]?.finish();
    await until(async () => (await send({ prompt: 'a', priority: -1 })).status === 201);
    expect(engine.jobs[2]?.request.priority).toBe(2);
  });

  test('that make too many requests wait', async () => {
    const [ann, bob] = [makeApiKey('ann'), makeApiKey('bob')];
    const { base } = await serve({ keys: [{ ...ann.entry, requestsPerMinute: 3 }, bob.entry] });
    const ask = ({ key }: { key: string }) => fetch(`${base}/v1/models`, { headers: { 'x-api-key': key } });
    for (let i = 0; i < 3; i++) expect((await ask(ann)).status).toBe(200);
    const late = await answer(ask(ann));
    expect([late.status, late.body.error.type]).toEqual([429, 'rate_limit_error']);
    expect(Number(late.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await ask(bob)).status).toBe(200);
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
  });

  test.each([
    [{ keys: [{ name: 'ann', hash: 'secret' }] }, /^keys\[0\]\.hash must be the SHA-256/],
    [{ keys: [{ name: '', hash: '0'.repeat(64) }] }, /^keys\[0\]\.name/],
    [{ keys: [{ nam: 'ann' }] }, /^keys\[0\]\.nam is not an option; did you mean/],
    [{ keys: [makeApiKey('a').entry, makeApiKey('a').entry] }, /^keys\[1\]\.name is taken/],
    [{ limits: { step: 3 } }, /^limits\.step is not an option; did you mean steps/],
    [{ limits: { steps: 0.5 } }, /^limits\.steps must be a whole number/],
    [{ log: 'loud' }, /^log must be one of/],
    [{ publicUrl: 'ftp://a' }, /^publicUrl must be/],
    [{ publicUrl: 'https://a.example/b?c=1' }, /^publicUrl must be .* without \? and #/],
    [{ cors: 'a' }, /^cors must be a list/],
    [{ webhooks: { host: [] } }, /^webhooks\.host is not an option/],
    [{ port: 80 }, /^port is not an option/],
  ])('and options of the wrong kind are refused: %#', async (options, message) => {
    const made = ImageServer.create(new FakeEngine(), options as never);
    await expect(made).rejects.toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    });
  });
});

describe('browsers', () => {
  /** The status for any headers: fetch() sends a host of its own. */
  const send = (base: string, headers: Record<string, string>) =>
    new Promise((resolve, reject) => {
      request(`${base}/api/jobs`, { headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });

  test("may not call a server without keys for others' pages", async () => {
    const { base } = await serve({ hosts: ['pictures.local'] });
    expect(await send(base, {})).toBe(200);
    expect(await send(base, { origin: base })).toBe(200);
    expect(await send(base, { origin: 'https://evil.example' })).toBe(403);
    expect(await send(base, { origin: 'null' })).toBe(403);
  });

  test('may not where a name was made to stand for its address', async () => {
    const { base } = await serve({ hosts: ['pictures.local'] });
    const status = (host: string) => send(base, { host, origin: `http://${host}` });
    expect(await status('evil.example')).toBe(403);
    expect(await status('pictures.local')).toBe(200);
    expect(await status('localhost:7860')).toBe(200);
  });

  test('know it by its public address', async () => {
    const { base } = await serve({ publicUrl: 'https://pictures.example/made' });
    expect(await send(base, { origin: 'https://pictures.example' })).toBe(200);
    expect(await send(base, { origin: 'http://pictures.example' })).toBe(403);
    const host = { host: 'pictures.example', 'sec-fetch-site': 'same-origin' };
    expect(await send(base, host)).toBe(200);
    expect(await send(base, { ...host, host: 'made.example' })).toBe(403);
  });

  test('are let in from origins that are named', async () => {
    const { base } = await serve({ cors: ['https://app.example'] });
    const headers = { origin: 'https://app.example' };
    const response = await fetch(`${base}/v1/models`, { headers });
    expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([
      200,
      'https://app.example',
    ]);
    const preflight = await fetch(`${base}/api/jobs`, {
      method: 'OPTIONS',
      headers: { ...headers, 'access-control-request-method': 'POST' },
    });
    expect(preflight.status).toBe(204);
  });
});

describe('what is there besides', () => {
  test('metrics, and logs without prompts', async () => {
    const { base, log, engine } = await serve();
    const gpu = { device: 'cuda:0', models: ['one', 'two'], available: 4096, seconds: 1.5 };
    const unused = { device: 'cuda:1', models: [], seconds: 0 };
    Object.assign(engine, { devices: () => [gpu, unused] });
    await post(`${base}/v1/images/generations`, { prompt: 'a secret barn', model: 'two' });
    const metrics = async () => (await fetch(`${base}/metrics`)).text();
    // Requests are counted when all of the answer has gone, which may be after it has come.
    await until(async () => (await metrics()).includes('route="/v1/images/generations"'));
    const text = await metrics();
    expect(text).toContain('deepcache_jobs_total{model="two",task="text-to-image",state="done"} 1');
    expect(text).toContain('deepcache_queue_length 0');
    expect(text).toContain('deepcache_unet_passes_total 4');
    expect(text).toContain('deepcache_unet_samples_total 10');
    expect(text).toContain('deepcache_device_available_bytes{device="cuda:0"} 4096');
    expect(text).not.toContain('deepcache_device_available_bytes{device="cuda:1"}');
    expect(text).toContain('deepcache_models_loaded{device="cuda:0"} 2');
    expect(text).toContain('deepcache_models_loaded{device="cuda:1"} 0');
    expect(text).toContain('deepcache_unet_seconds_total{device="cuda:0"} 1.5');
    expect(text).toContain('deepcache_phase_seconds_sum{model="two",phase="denoise"} 1');
    expect(text).toMatch(
      /deepcache_http_seconds_count\{method="POST",route="\/v1\/images\/generations",status="2xx"\} 1/,
    );
    await until(() => log.length >= 3);
    const lines = log.map((line) => JSON.parse(line));
    expect(lines.map(({ msg }) => msg)).toEqual(expect.arrayContaining(['job ended', 'answered']));
    expect(log.join('')).not.toContain('secret');
  });

  test('prompts in logs where that is wanted, as texts that forge nothing', async () => {
    const { base, log } = await serve({ logPrompts: true });
    await post(`${base}/v1/images/generations`, { prompt: 'a barn"}\n{"level":60,"msg":"forged"}\u001b[2J' });
    await until(() => log.some((line) => line.includes('job ended')));
    expect(log.every((line) => line.trim().split('\n').length === 1)).toBe(true);
    expect(log.join('')).not.toContain('\u001b');
    expect(log.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'forged')).toEqual([]);
  });

  test('an OpenAPI document of all routes', async () => {
    const { base } = await serve();
    const { body } = await answer(fetch(`${base}/openapi.json`));
    expect(body.openapi).toBe('3.1.0');
    expect(Object.keys(body.paths)).toEqual(
      expect.arrayContaining([
        '/api/jobs',
        '/api/jobs/{id}',
        '/v1/images/edits',
        '/sdapi/v1/txt2img',
        '/v1/models',
      ]),
    );
    const { properties } = body.paths['/api/jobs'].post.requestBody.content['application/json'].schema;
    expect(Object.keys(properties)).toEqual(expect.arrayContaining(['prompt', 'steps', 'cache', 'webhook']));
  });

  test('TLS', async () => {
    const { key, cert } = selfSigned();
    const engine = new FakeEngine();
    const server = await ImageServer.create(engine, { tls: { key, cert }, log: 'silent', closeSeconds: 0 });
    const base = await server.listen();
    expect(base).toMatch(/^https:/);
    const { request } = await import('node:https');
    const status = await new Promise((resolve, reject) => {
      request(`${base}/healthz`, { ca: cert, servername: 'localhost' }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(200);
    await server.close();
    await expect(ImageServer.create(new FakeEngine(), { tls: { key: 'x', cert: 'y' } })).rejects.toThrow();
  });
});

describe('closing', () => {
  test('finishes what was begun, and takes no more', async () => {
    const { engine, server, base } = await serve({ closeSeconds: 900 });
    engine.onJob = (job) => job.start();
    const asked = answer(post(`${base}/v1/images/generations`, { prompt: 'a barn' }));
    await until(() => engine.jobs.length === 1);
    const closed = server.close();
    expect(await answer(post(`${base}/api/jobs`, { prompt: 'a barn' }))).toMatchObject({
      status: 503,
      body: { error: { code: 'closing' } },
    });
    expect((await fetch(`${base}/readyz`)).status).toBe(503);
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    engine.jobs[0]?.finish();
    expect((await asked).status).toBe(200);
    await closed;
    await expect(fetch(`${base}/healthz`)).rejects.toThrow();
  });

  test('waits so long, and cancels the rest', async () => {
    const { engine, server, base } = await serve({ closeSeconds: 1 });
    engine.onJob = (job) => job.start();
    const asked = answer(post(`${base}/v1/images/generations`, { prompt: 'a barn' }));
    await until(() => engine.jobs.length === 1);
    await server.close();
    expect((await asked).status).toBe(409);
    expect(engine.jobs[0]?.state).toBe('cancelled');
  });
});

/** A key and a certificate for localhost, made by openssl. */
function selfSigned(): { key: string; cert: string } {
  const text = execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '-'],
      ...['-days', '1', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const part = (name: string) =>
    new RegExp(`-----BEGIN ${name}-----[^]*-----END ${name}-----`).exec(text)?.[0] ?? '';
  return { key: part('PRIVATE KEY'), cert: part('CERTIFICATE') };
}
