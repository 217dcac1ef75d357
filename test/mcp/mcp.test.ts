import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { Image } from '../../lib/index.js';
import { mcpServer } from '../../lib/mcp/server.js';
import { ImageEngine } from '../../lib/server/engine/index.js';
import { FOLDER } from '../pipelines/tiny.js';
import { until } from '../until.js';

let engine: ImageEngine;
let client: Client;
beforeAll(async () => {
  engine = new ImageEngine({ models: { tiny: { model: FOLDER, device: 'cpu' } }, log: () => {} });
  const server = await mcpServer(engine);
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  client = new Client({ name: 'test', version: '1' });
  await Promise.all([server.connect(ours), client.connect(theirs)]);
});
afterAll(async () => {
  await client.close();
  await engine.close();
});

const call = (name: string, args: object, options: object = {}) =>
  client.callTool(
    { name, arguments: args as Record<string, unknown> },
    undefined,
    // The client's own patience is a minute.
    { timeout: 600_000, ...options },
  ) as Promise<CallToolResult>;
const texts = ({ content }: CallToolResult) =>
  content.flatMap((one) => (one.type === 'text' ? [one.text] : []));
const images = ({ content }: CallToolResult) =>
  Promise.all(
    content.flatMap((one) => (one.type === 'image' ? [Image.open(Buffer.from(one.data, 'base64'))] : [])),
  );

const RUN = { prompt: 'a lighthouse', steps: 3, seed: 5 };

describe('a client of the Model Context Protocol', () => {
  test('finds the tools', async () => {
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual([
      'list_models',
      'generate_image',
      'edit_image',
      'compare_cache',
    ]);
    expect(tools[1]?.inputSchema).toMatchObject({ type: 'object', required: ['prompt'] });
    expect(texts(await call('list_models', {}))).toEqual(['tiny']);
  });

  test('makes pictures, and sees how far they are', async () => {
    const progress: number[] = [];
    const result = await call(
      'generate_image',
      { ...RUN, numImages: 2 },
      {
        onprogress: ({ progress: done, total = 1 }: { progress: number; total?: number }) =>
          progress.push(done / total),
      },
    );
    expect((await images(result)).map(({ width }) => width)).toEqual([64, 64]);
    expect(texts(result)[0]).toMatch(/^picture-[0-9a-f]{8}: 64x64, seed 5$/);
    expect(progress.at(-1)).toBe(1);
    expect(progress.length).toBeGreaterThanOrEqual(3);
  });

  test('changes a picture by its id, or another one', async () => {
    const made = await call('generate_image', RUN);
    const [id = ''] = (texts(made)[0] ?? '').split(':');
    const [start] = (await images(made)) as [Image];
    const edited = await call('edit_image', { ...RUN, image: id, strength: 1, prompt: 'a dog' });
    const [changed] = (await images(edited)) as [Image];
    expect(changed.width).toBe(64);
    expect(Buffer.from(changed.data).equals(Buffer.from(start.data))).toBe(false);
    // The same by its bytes.
    const image = (await start.toBuffer()).toString('base64');
    const [again] = (await images(
      await call('edit_image', { ...RUN, image, strength: 1, prompt: 'a dog' }),
    )) as [Image];
    expect(Buffer.from(again.data).equals(Buffer.from(changed.data))).toBe(true);
    const mask = (
      await new Image({ width: 64, height: 64, data: new Uint8Array(64 * 64 * 3) }).toBuffer()
    ).toString('base64');
    const [painted] = (await images(await call('edit_image', { ...RUN, image, mask, strength: 1 }))) as [
      Image,
    ];
    expect(painted.width).toBe(64);
  });

  test('compares settings of the cache', async () => {
    const result = await call('compare_cache', { ...RUN, steps: 10, settings: ['fast'] });
    expect(await images(result)).toHaveLength(2);
    const [first, second] = texts(result);
    expect(first).toMatch(
      /^without the cache: seed 5, denoised in [\d.]+ s, 1\.00 times as fast as in full$/,
    );
    expect(second).toMatch(
      /^cache fast: seed 5, denoised in [\d.]+ s, [\d.]+ times as fast as in full, [\d.]+ dB PSNR/,
    );
  });

  test.each([
    ['generate_image', { prompt: 'a', stepz: 3 }, 'stepz is not an option; did you mean steps?'],
    ['generate_image', { prompt: 'a', steps: 9999 }, 'steps is 9999; this server allows at most 150 steps'],
    ['generate_image', { prompt: 'a', model: '/etc' }, 'model must be one of tiny'],
    ['generate_image', {}, 'prompt is missing'],
    ['edit_image', { prompt: 'a', image: '/etc/passwd' }, 'image must be the id of a picture'],
    ['edit_image', { prompt: 'a', image: 5 }, 'image must be a text'],
    ['make_coffee', {}, 'name is "make_coffee"; there are list_models'],
  ])('is told what is wrong: %s %j', async (name, args, words) => {
    const result = await call(name, args);
    expect(result.isError).toBe(true);
    expect(texts(result)[0]).toContain(words);
  });

  test('ends a run that it no longer wants', async () => {
    const stop = new AbortController();
    const asked = call(
      'generate_image',
      { prompt: 'a', steps: 150, width: 512, height: 512 },
      {
        signal: stop.signal,
        onprogress: () => stop.abort(),
      },
    );
    await expect(asked).rejects.toThrow();
    await until(() => engine.stats().running === 0);
    expect(engine.stats()).toMatchObject({ running: 0, cancelled: 1 });
  });
});
