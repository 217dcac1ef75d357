import { createHmac } from 'node:crypto';
import type { LookupAddress } from 'node:dns';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { isPublicAddress } from '../../../lib/server/http/public-address.js';
import { publicLookup, Webhooks } from '../../../lib/server/http/webhooks.js';
import { answer, closeAll, post, serve, until } from './serving.js';

interface Call {
  readonly url: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

const servers: Server[] = [];
afterEach(async () => {
  await closeAll();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A caller's own server; it answers with these statuses, one after the other, and then with 200. */
async function receiver(statuses: number[] = []): Promise<{ host: string; calls: Call[] }> {
  const calls: Call[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    calls.push({ url: request.url ?? '', headers: request.headers, body });
    response.writeHead(statuses.shift() ?? 200, { location: `http://${request.headers.host}/elsewhere` });
    response.end('an answer that nobody reads');
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, calls };
}

describe('addresses of the public internet', () => {
  test.each(['1.1.1.1', '8.8.8.8', '93.184.216.34', '172.32.0.1', '2606:4700::1111', '2a00:1450::1'])(
    '%s',
    (address) => {
      expect(isPublicAddress(address)).toBe(true);
    },
  );

  test.each([
    ...[
      '127.0.0.1',
      '127.9.9.9',
      '0.0.0.0',
      '10.1.2.3',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '169.254.169.254',
    ],
    ...[
      '100.64.0.1',
      '198.18.0.1',
      '192.0.2.1',
      '203.0.113.9',
      '224.0.0.1',
      '255.255.255.255',
      '240.0.0.1',
      '192.88.99.1',
    ],
    ...[
      '::1',
      '::',
      'fe80::1',
      'fe80::1%eth0',
      'fc00::1',
      'fd12::1',
      'ff02::1',
      '::ffff:127.0.0.1',
      '::ffff:10.0.0.1',
    ],
    ...[
      '64:ff9b::7f00:1',
      '2002:7f00:1::',
      '2001:db8::1',
      '2001::1',
      '3fff::1',
      'localhost',
      '',
      '1.1.1',
      '0x7f000001',
    ],
  ])('do not include %j', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  test('are all that a name may stand for', async () => {
    const found = (name: string, all: boolean) =>
      new Promise<{ error: Error | null; address: string | LookupAddress[] }>((resolve) =>
        publicLookup(name, { all }, (error, address) => resolve({ error, address })),
      );
    for (const all of [true, false])
      expect((await found('localhost', all)).error?.message).toBe(
        'localhost is not a host of the public internet',
      );
  });
});

describe('an address', () => {
  const check = (address: string, options: ConstructorParameters<typeof Webhooks>[0] = {}) =>
    new Webhooks(options, () => {}).check(address);

  test('of the public internet is fine', () => {
    for (const address of ['https://example.com/hook?a=b', 'https://1.1.1.1/', 'https://[2606:4700::1111]/'])
      expect(() => check(address)).not.toThrow();
  });

  test.each([
    ['http://example.com/', /https address on the usual port/],
    ['https://example.com:8443/', /https address on the usual port/],
    ['https://user:pass@example.com/', /user or a password/],
    ['file:///etc/passwd', /must be an https address/],
    ['gopher://127.0.0.1/', /must be an https address/],
    ['javascript:alert(1)', /must be an https address/],
    ['example.com', /must be an https address/],
    ['', /must be an https address/],
    ['https://127.0.0.1/', /not of the public internet/],
    ['https://2130706433/', /not of the public internet/],
    ['https://0x7f.1/', /not of the public internet/],
    ['https://0177.0.0.1/', /not of the public internet/],
    ['https://①②⑦.⓪.⓪.①/', /not of the public internet/],
    ['https://[::1]/', /not of the public internet/],
    ['https://[::ffff:169.254.169.254]/', /not of the public internet/],
    ['https://169.254.169.254/latest/meta-data/', /not of the public internet/],
  ])('%s is refused', (address, message) => {
    expect(() => check(address)).toThrow(message);
  });

  test('is refused by a server that takes none, or whose list it is not on', async () => {
    expect(() => check('https://example.com/', false)).toThrow(/not offered/);
    expect(() => check('http://10.0.0.7:8080/a', { hosts: ['10.0.0.7:8080'] })).not.toThrow();
    for (const address of ['https://10.0.0.7/', 'http://10.0.0.7:8081/', 'https://example.com/'])
      expect(() => check(address, { hosts: ['10.0.0.7:8080'] })).toThrow(/not allowed/);
    const { base, engine } = await serve();
    const sent = await answer(post(`${base}/api/jobs`, { prompt: 'a', webhook: 'https://192.168.0.1/' }));
    expect([sent.status, sent.body.error.message]).toEqual([400, expect.stringContaining('public internet')]);
    expect(engine.jobs).toEqual([]);
  });
});

describe('a webhook', () => {
  test('tells of the end of a job, signed, once', async () => {
    const { host, calls } = await receiver();
    const { base } = await serve({
      webhooks: { secret: `whsec_${Buffer.from('hush').toString('base64')}`, hosts: [host] },
    });
    const headers = { 'idempotency-key': 'k' };
    const webhook = `http://${host}/hook`;
    const { body } = await answer(post(`${base}/api/jobs`, { prompt: 'a', webhook }, headers));
    await answer(post(`${base}/api/jobs`, { prompt: 'a', webhook }, headers));
    await until(() => calls.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(calls).toHaveLength(1);
    const [{ url, headers: got, body: text }] = calls as [Call];
    expect(url).toBe('/hook');
    const payload = JSON.parse(text);
    expect(payload).toMatchObject({ type: 'job.done', job: { id: body.id, state: 'done' } });
    expect((await fetch(payload.job.images[0].url)).status).toBe(200);
    const signed = `${body.id}.${got['webhook-timestamp']}.${text}`;
    expect(got['webhook-id']).toBe(body.id);
    expect(got['webhook-signature']).toBe(
      `v1,${createHmac('sha256', 'hush').update(signed).digest('base64')}`,
    );
  });

  test('is tried again, follows no redirect, and is given up in the end', async () => {
    const { host, calls } = await receiver([500, 302, 200]);
    const failures: string[] = [];
    const webhooks = new Webhooks(
      { hosts: [host] },
      (id, reason) => failures.push(`${id}: ${reason}`),
      [10, 10],
    );
    webhooks.send(`http://${host}/a`, '1', { a: 1 });
    await until(() => calls.length === 3);
    expect(calls.map(({ url }) => url)).toEqual(['/a', '/a', '/a']);
    expect(failures).toEqual([]);
    const other = await receiver([302, 302, 302]);
    const strict = new Webhooks(
      { hosts: [other.host] },
      (id, reason) => failures.push(`${id}: ${reason}`),
      [10, 10],
    );
    strict.send(`http://${other.host}/b`, '2', {});
    await until(() => failures.length === 1);
    expect(failures).toEqual(['2: the answer was 302']);
    expect(other.calls).toHaveLength(3);
    webhooks.close();
    strict.close();
  });

  test('to a name that stands for an address of this machine is never sent', async () => {
    const failures: string[] = [];
    const webhooks = new Webhooks({}, (_, reason) => failures.push(reason), []);
    webhooks.send('https://localhost/', '1', {});
    await until(() => failures.length === 1);
    expect(failures[0]).toMatch(/is not a host of the public internet/);
    webhooks.close();
  });
});
