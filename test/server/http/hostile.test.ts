import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Image } from '../../../lib/index.js';
import { ImageEngine } from '../../../lib/server/engine/index.js';
import { ImageServer } from '../../../lib/server/http/index.js';
import { fuzzRandom, mutated, rounds } from '../../fuzz.js';
import { FOLDER } from '../../pipelines/tiny.js';
import { answer, closeAll, post, serve, until } from './serving.js';

const VALID: Readonly<Record<string, object>> = {
  'api/jobs': {
    ...{
      model: 'tiny',
      prompt: 'a',
      negativePrompt: 'b',
      width: 64,
      height: 64,
      numImages: 1,
      steps: 1,
      seed: 1,
    },
    ...{ guidanceScale: 2, cache: { interval: 2, branch: 0 }, scheduler: 'DDIM', eta: 0, previewEvery: 1 },
    ...{
      hiresFix: { scale: 2, upscaler: 'bilinear' },
      priority: 0,
      deadline: '2030-01-01T00:00:00Z',
      detach: true,
    },
  },
  'v1/images/generations': {
    ...{ model: 'tiny', prompt: 'a', n: 1, size: '64x64', response_format: 'b64_json', output_format: 'png' },
    ...{ steps: 1, guidance: 2, seed: 1, cache: 'fast', scheduler: 'DDIM', stream: false, partial_images: 0 },
  },
  'sdapi/v1/txt2img': {
    ...{ prompt: 'a', negative_prompt: 'b', seed: 1, steps: 1, cfg_scale: 2, width: 64, height: 64 },
    ...{ sampler_name: 'DPM++ 2M', scheduler: 'karras', batch_size: 1, n_iter: 1, clip_skip: 1 },
    ...{ override_settings: { sd_model_checkpoint: 'tiny' }, send_images: true },
  },
  'sdapi/v1/img2img': { prompt: 'a', init_images: ['x'], mask: 'y', denoising_strength: 0.5, steps: 1 },
  'sdapi/v1/options': { sd_model_checkpoint: 'tiny' },
  'sdapi/v1/png-info': { image: 'x' },
};

let folder: string;
let secret: string;
let server: ImageServer;
let base: string;
const log: string[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-serve-'));
  secret = join(folder, 'secret.png');
  writeFileSync(
    secret,
    await new Image({ width: 64, height: 64, data: new Uint8Array(64 * 64 * 3) }).toBuffer(),
  );
  const engine = new ImageEngine({ models: { tiny: { model: FOLDER, device: 'cpu' } }, log: () => {} });
  server = await ImageServer.create(engine, {
    ...{ writeLog: (line) => void log.push(line), closeSeconds: 5, requestsPerMinute: 1_000_000 },
    limits: { steps: 4, pixels: 256 * 256, inputPixels: 2 ** 20, body: 2 ** 20 },
  });
  base = await server.listen();
});
afterEach(closeAll);
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

/** It still works, and nothing of it went wrong. */
async function isWell(): Promise<void> {
  expect((await fetch(`${base}/healthz`)).status).toBe(200);
  const failures = log.map((line) => JSON.parse(line)).filter(({ level }) => level >= 50);
  expect(failures).toEqual([]);
}

/** Sends bytes as they are, and resolves with what comes back until the connection ends. */
function raw(to: string, ...parts: (string | Buffer)[]): Promise<string> {
  const { hostname, port } = new URL(to);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let text = '';
    socket.on('data', (data) => {
      text += data.toString('latin1');
    });
    socket.on('error', () => resolve(text));
    socket.on('close', () => resolve(text));
    for (const part of parts) socket.write(part);
  });
}

const WRONG: readonly unknown[] = [
  ...[
    null,
    true,
    false,
    0,
    -1,
    1e308,
    -1e308,
    0.5,
    2 ** 53,
    '',
    ' ',
    'a',
    '-1',
    '1e999',
    'NaN',
    '../../../etc/passwd',
  ],
  ...[
    '/etc/passwd',
    'C:\\windows',
    'file:///etc/passwd',
    'http://169.254.169.254/',
    '\u0000',
    '\ud800',
    '\u202e',
    '{}',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'x'.repeat(70_000),
    '<script>',
    '$(7*7)',
    '%00',
    '..%2f',
    '\r\nset-cookie: a=b',
  ],
  ...[
    [],
    [null],
    ['a', ['b', ['c']]],
    {},
    { a: 1 },
    { length: 9 },
    { toString: 1 },
    Array(1000).fill(0),
    [[[[[[[[]]]]]]]],
  ],
];

describe('damaged JSON', () => {
  test.each(Object.entries(VALID))('%s answers it, and lives', async (path, valid) => {
    const random = fuzzRandom(5);
    const names = Object.keys(valid);
    const statuses = new Set<number>();
    const send = async (body: string) => {
      const response = await post(`${base}/${path}`, body);
      statuses.add(response.status);
      if (response.status >= 500) throw new Error(`${response.status} for ${body.slice(0, 500)}`);
      await response.arrayBuffer();
    };
    for (let i = 0; i < rounds(80); i++) {
      const body: Record<string, unknown> = { ...valid };
      for (let n = random.below(3); n >= 0; n--) {
        const name = random.below(8) === 0 ? String(random.of(WRONG)).slice(0, 100) : random.of(names);
        body[name] = random.of(WRONG);
      }
      await send(JSON.stringify(body));
      await send(mutated(Buffer.from(JSON.stringify(valid)), random).toString('latin1'));
    }
    for (const body of [
      '',
      'null',
      '[]',
      '"a"',
      '1',
      '{"__proto__": {"a": 1}}',
      '{"constructor": {"prototype": {}}}',
    ])
      await send(body);
    await send(`${'['.repeat(200_000)}${']'.repeat(200_000)}`);
    await send(`{"prompt": ${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`);
    expect([...statuses].some((status) => status >= 400)).toBe(true);
    await isWell();
  });

  test('of the wrong type or size is refused', async () => {
    const status = async (headers: Record<string, string>, body: string) =>
      (await fetch(`${base}/api/jobs`, { method: 'POST', headers, body })).status;
    expect(await status({ 'content-type': 'text/plain' }, '{"prompt":"a"}')).toBe(415);
    expect(await status({ 'content-type': 'application/json; charset=utf-7' }, '+ADw-')).toBe(400);
    expect(await status({ 'content-type': 'application/json' }, `"${'a'.repeat(2 ** 20)}"`)).toBe(413);
    await isWell();
  });
});

describe('damaged forms', () => {
  const boundary = 'xxboundaryxx';
  const part = (head: string, body: string | Buffer) =>
    Buffer.concat([
      Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; ${head}\r\n\r\n`),
      Buffer.from(body),
      Buffer.from('\r\n'),
    ]);
  const end = Buffer.from(`--${boundary}--\r\n`);
  const send = async (path: string, body: Buffer, type = `multipart/form-data; boundary=${boundary}`) => {
    const response = await fetch(`${base}/${path}`, {
      method: 'POST',
      headers: { 'content-type': type },
      body: new Uint8Array(body),
    });
    await response.arrayBuffer();
    return response.status;
  };

  test.each(['v1/images/edits', 'v1/images/variations'])('%s answers them, and lives', async (path) => {
    const random = fuzzRandom(6);
    const picture = readFileSync(secret);
    const whole = Buffer.concat([
      ...[part('name="prompt"', 'a'), part('name="steps"', '1'), part('name="strength"', '1')],
      ...[part('name="image"; filename="a.png"', picture), end],
    ]);
    if (path.endsWith('edits')) expect(await send(path, whole)).toBe(200);
    for (let i = 0; i < rounds(80); i++) {
      const status = await send(path, mutated(whole, random));
      expect(status).toBeLessThan(500);
    }
    for (const body of [
      Buffer.alloc(0),
      end,
      Buffer.from('--'),
      part('name="image"', 'a'),
      part('', ''),
      part('name=""', 'a'),
    ])
      expect(await send(path, body)).toBeGreaterThanOrEqual(400);
    for (const type of [
      'multipart/form-data',
      'multipart/form-data; boundary=',
      'multipart/mixed; boundary=a',
      'text/plain',
    ])
      expect(await send(path, whole, type)).toBeGreaterThanOrEqual(400);
    await isWell();
  });

  test('with too much of anything are refused', async () => {
    const many = (count: number, head: (i: number) => string, body = 'a') =>
      Buffer.concat([...Array.from({ length: count }, (_, i) => part(head(i), body)), end]);
    const path = 'v1/images/edits';
    expect(
      await send(
        path,
        many(100, (i) => `name="f${i}"`),
      ),
    ).toBe(413);
    expect(
      await send(
        path,
        many(9, (i) => `name="image${i}"; filename="a"`),
      ),
    ).toBe(413);
    expect(
      await send(
        path,
        many(1, () => 'name="prompt"', 'a'.repeat(90_000)),
      ),
    ).toBe(413);
    expect(
      await send(
        path,
        many(1, () => 'name="image"; filename="a"', 'a'.repeat(2 ** 20)),
      ),
    ).toBe(413);
    expect(
      await send(
        path,
        many(1, () => `name="${'n'.repeat(9999)}"`),
      ),
    ).toBe(400);
    // Without a length in the head, too.
    const parts = many(2, (i) => `name="image${i}"; filename="a"`, 'a'.repeat(2 ** 19 + 1));
    const chunked = await fetch(`${base}/${path}`, {
      ...{ method: 'POST', headers: { 'content-type': `multipart/form-data; boundary=${boundary}` } },
      ...{ body: ReadableStream.from([parts]), duplex: 'half' },
    } as RequestInit);
    expect(chunked.status).toBe(413);
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty'])
      expect(
        await send(
          path,
          many(1, () => `name="${name}"; filename="a"`),
        ),
      ).toBe(400);
    await isWell();
  });
});

describe('pictures', () => {
  const png = async (width: number, height: number) =>
    (await new Image({ width, height, data: new Uint8Array(width * height * 3) }).toBuffer()).toString(
      'base64',
    );
  const send = (image: string) =>
    answer(post(`${base}/api/jobs`, { prompt: 'a', steps: 1, image, strength: 1 }));

  test('that are too large, or would be, are refused by their headers', async () => {
    for (const image of [await png(1025, 1024), bomb(60_000, 60_000), bomb(1, 2 ** 31 - 1)]) {
      const { status, body } = await send(image);
      expect([status, body.error.code]).toEqual([400, 'ERR_DEEPCACHE_IMAGE']);
      // Nothing was unpacked, which would take gigabytes.
      expect(body.error.message).toMatch(/pixels|corrupt header/);
    }
    // Larger than a result may be, without a size of its own.
    const { status, body } = await send(await png(512, 512));
    expect([status, body.error.message]).toEqual([
      400,
      expect.stringMatching(/width and height make 512x512 pixels/),
    ]);
    await isWell();
  });

  test('whose texts would unpack to a gigabyte take no memory', async () => {
    const before = process.memoryUsage().rss;
    const { status } = await answer(post(`${base}/sdapi/v1/png-info`, { image: textBomb() }));
    expect(status).toBeLessThan(500);
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 2 ** 20);
    await isWell();
  });

  test('that are damaged are refused at once', async () => {
    const random = fuzzRandom(7);
    const whole = Buffer.from(await png(64, 64), 'base64');
    for (let i = 0; i < rounds(60); i++) {
      const { status } = await send(mutated(whole, random).toString('base64'));
      expect(status).toBeLessThan(500);
    }
    await isWell();
  });
});

describe('paths', () => {
  /** Whether a file was read since it was last asked; noticed by the time of its last access. */
  const wasRead = () => {
    const { atimeMs } = statSync(secret);
    utimesSync(secret, new Date(1e12), new Date());
    return atimeMs !== 1e12;
  };

  test('are never opened, whatever names them', async () => {
    wasRead();
    readFileSync(secret);
    // On a file system that keeps no such times nothing would be noticed.
    if (!wasRead()) return;
    const url = `file://${secret}`;
    for (const name of [secret, url, `../../../../../../..${secret}`, folder, `${folder}/.`]) {
      for (const [path, body] of [
        ['api/jobs', { prompt: 'a', model: name }],
        ['api/jobs', { prompt: 'a', image: name }],
        [
          'api/jobs',
          { prompt: 'a', image: readFileSync(FOLDER.replace('sd15-tiny', 'canny.json')).toString('base64') },
        ],
        ['api/jobs', { prompt: 'a', scheduler: name }],
        ['api/jobs', { prompt: 'a', hiresFix: { upscaler: name } }],
        ['api/jobs', { prompt: `a <lora:${name}:1>`, loraSyntax: true, steps: 1 }],
        ['api/jobs', { prompt: 'a', cache: { plan: name } }],
        ['v1/images/generations', { prompt: 'a', model: name }],
        ['v1/images/generations', { prompt: 'a', scheduler: name, cache: name }],
        ['v1/images/generations', { prompt: 'a', cache: { plan: name, file: name } }],
        ['sdapi/v1/txt2img', { prompt: `a <lora:${name}:1>`, steps: 1 }],
        ['sdapi/v1/txt2img', { prompt: 'a', override_settings: { sd_model_checkpoint: name } }],
        ['sdapi/v1/txt2img', { prompt: 'a', enable_hr: true, hr_upscaler: name, width: 64, height: 64 }],
        ['sdapi/v1/txt2img', { prompt: 'a', sampler_name: name }],
        ['sdapi/v1/img2img', { prompt: 'a', init_images: [name] }],
        ['sdapi/v1/png-info', { image: name }],
        ['sdapi/v1/options', { sd_model_checkpoint: name }],
      ] as const) {
        const { status } = await answer(post(`${base}/${path}`, body));
        // A job with an adapter that is not there fails when its turn comes.
        if (!('loraSyntax' in body)) expect([path, body, status]).toEqual([path, body, expect.any(Number)]);
        expect(status).toBeLessThan(500);
      }
    }
    for (const path of [
      `/files/..%2f..${encodeURIComponent(secret)}`,
      `/files/x/..%2f..%2fsecret.png`,
      `//etc/passwd`,
    ])
      expect((await fetch(base + path)).status).toBe(404);
    expect(wasRead()).toBe(false);
    await isWell();
  });
});

describe('slow and noisy connections', () => {
  const host = (of = base) => `host: ${new URL(of).host}\r\n`;

  test('that send no request, or half of one, are ended', async () => {
    const { base: other, log: lines } = await serve({ limits: { seconds: 1 } });
    const answers = await Promise.all([
      raw(other, 'GET /healthz HTTP/1.1\r\nx: '),
      raw(
        other,
        `POST /api/jobs HTTP/1.1\r\n${host(other)}content-type: application/json\r\ncontent-length: 999\r\n\r\n{"prompt"`,
      ),
    ]);
    for (const text of answers) expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect((await fetch(`${other}/healthz`)).status).toBe(200);
    expect(lines.map((line) => JSON.parse(line)).filter(({ level }) => level >= 50)).toEqual([]);
  });

  test('that wait for what has not happened yet are kept', async () => {
    const { base: other, engine } = await serve({ limits: { seconds: 1 }, log: 'silent' });
    engine.onJob = () => {};
    const headers = { 'content-type': 'application/json', accept: 'text/event-stream' };
    const events = await fetch(`${other}/api/jobs`, { method: 'POST', headers, body: '{"prompt":"a"}' });
    await new Promise((resolve) => setTimeout(resolve, 2500));
    engine.jobs[0]?.start();
    engine.jobs[0]?.finish();
    expect(await events.text()).toContain('event: done');
  });

  test('that take no answer are ended', async () => {
    const { base: other, engine } = await serve({ limits: { seconds: 1 }, log: 'silent' });
    engine.onJob = (job) => {
      job.start();
      job.finish('noise');
    };
    const body = JSON.stringify({ prompt: 'a', n: 4, size: '1024x1024' });
    const { hostname, port, host: name } = new URL(other);
    const received = await new Promise<number>((resolve) => {
      const socket = connect(Number(port), hostname);
      const head = `POST /v1/images/generations HTTP/1.1\r\nhost: ${name}\r\ncontent-type: application/json\r\n`;
      socket.write(`${head}content-length: ${body.length}\r\n\r\n${body}`);
      let bytes = 0;
      socket.on('data', (data) => {
        // The first part of the answer, and then nothing for a while.
        if (bytes === 0) {
          socket.pause();
          setTimeout(() => socket.resume(), 4000);
        }
        bytes += data.length;
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(bytes));
    });
    // Four pictures of noise have 16 MB in base64.
    expect(received).toBeGreaterThan(0);
    expect(received).toBeLessThan(14e6);
    expect((await fetch(`${other}/healthz`)).status).toBe(200);
  });

  test('with floods of headers, or what is no HTTP, are refused', async () => {
    expect(await raw(base, `GET /healthz HTTP/1.1\r\n${host()}x: ${'a'.repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    );
    const lines = Array.from({ length: 3000 }, (_, i) => `x-${i}: a\r\n`).join('');
    expect(await raw(base, `GET /healthz HTTP/1.1\r\n${host()}${lines}\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
    for (const text of [
      '\u0000\u0001\u0002\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
      'BREW /pot HTTP/1.1\r\n\r\n',
      '{"a": 1}\r\n\r\n',
    ])
      expect(await raw(base, text)).toMatch(/^HTTP\/1\.1 400 /);
    const twice = `POST /api/jobs HTTP/1.1\r\n${host()}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`;
    expect(await raw(base, twice)).toMatch(/^HTTP\/1\.1 400 /);
    await isWell();
  });

  test('in thousands leave room for others', async () => {
    const { base: other } = await serve({ limits: { connections: 20 }, log: 'silent' });
    const { hostname, port } = new URL(other);
    const sockets = Array.from({ length: 60 }, () => connect(Number(port), hostname).on('error', () => {}));
    await until(
      () => sockets.filter(({ destroyed, readyState }) => destroyed || readyState === 'closed').length >= 40,
    );
    for (const socket of sockets) socket.destroy();
    await until(async () => (await fetch(`${other}/healthz`).catch(() => undefined))?.status === 200);
  });
});

/** A PNG whose header promises so many pixels, and which has a few bytes. */
function bomb(width: number, height: number): string {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return pngOf(['IHDR', head], ['IDAT', deflateSync(Buffer.alloc(2 ** 20))], ['IEND', Buffer.alloc(0)]);
}

/** A small PNG with a text of a gigabyte, packed into one megabyte. */
function textBomb(): string {
  const head = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0]);
  const pixels = deflateSync(Buffer.from([0, 1, 2, 3]));
  const texts = Array.from(
    { length: 8 },
    () => ['zTXt', Buffer.concat([Buffer.from('parameters\0\0'), packedZeros()])] as const,
  );
  return pngOf(['IHDR', head], ...texts, ['IDAT', pixels], ['IEND', Buffer.alloc(0)]);
}

let zeros: Buffer | undefined;
/** 64 MiB of the letter a. */
function packedZeros(): Buffer {
  zeros ??= deflateSync(Buffer.alloc(2 ** 26, 'a'), { level: 9 });
  return zeros;
}

function pngOf(...chunks: readonly (readonly [type: string, data: Buffer])[]): string {
  const bytes = chunks.map(([type, data]) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc(body));
    return Buffer.concat([length, body, sum]);
  });
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...bytes]).toString('base64');
}

/** CRC-32 as PNG has it. */
function crc(bytes: Buffer): number {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return (value ^ 0xffffffff) >>> 0;
}
