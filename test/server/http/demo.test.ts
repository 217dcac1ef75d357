import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import OpenAI, { toFile } from 'openai';
import { DiffusionPipeline, Image, readSettings } from '../../../lib/index.js';
import { ImageEngine } from '../../../lib/server/engine/index.js';
import { ImageServer } from '../../../lib/server/http/index.js';
import { answer, post, type Received, received, until } from './serving.js';

// The demo model behind a real socket.

const PROMPT = 'a red barn under a blue sky';
let server: ImageServer;
let base: string;
beforeAll(async () => {
  const engine = new ImageEngine({ models: { demo: { model: 'demo', device: 'cpu' } }, log: () => {} });
  server = await ImageServer.create(engine, { log: 'silent', closeSeconds: 5 });
  base = await server.listen();
});
afterAll(() => server.close());

const bytesOf = async (url: string) => new Uint8Array(await (await fetch(url)).arrayBuffer());

/** The picture that a pipeline makes by itself. */
async function alone(options: object): Promise<Image> {
  await using pipe = await DiffusionPipeline.fromPretrained('demo', { device: 'cpu', log: () => {} });
  return (await pipe.generate({ prompt: PROMPT, ...options })).images[0];
}

describe('the demo model', () => {
  test('makes over HTTP what it makes by itself, through all APIs', async () => {
    const expected = Buffer.from((await alone({ steps: 8, seed: 3, cache: { interval: 2 } })).data);
    const run = { prompt: PROMPT, steps: 8, seed: 3, cache: { interval: 2 } };
    const events: Received[] = [];
    const stream = await post(
      `${base}/api/jobs`,
      { ...run, previewEvery: 3 },
      { accept: 'text/event-stream' },
    );
    for await (const event of received(stream)) events.push(event);
    expect(events.map(({ event }) => event)).toEqual([
      ...['queued', 'started'],
      ...Array.from({ length: 8 }, () => 'step'),
      'done',
    ]);
    // Two were made; who is late has the last one alone.
    const previews = events.map(({ data }) => data.call !== undefined && data.preview !== undefined);
    expect(previews.lastIndexOf(true)).toBe(7);
    expect(events.map(({ data }) => data.kind)).toContain('retrieve');
    const status = events.at(-1)?.data;
    const bytes = await bytesOf(status.images[0].url);
    expect(Buffer.from((await Image.open(bytes)).data).equals(expected)).toBe(true);
    expect((await readSettings(bytes)).fields).toMatchObject({ Steps: '8', Seed: '3' });
    const client = new OpenAI({ apiKey: 'none', baseURL: `${base}/v1` });
    const { data } = await client.images.generate({
      prompt: PROMPT,
      ...({ steps: 8, seed: 3, cache: { interval: 2 } } as object),
    });
    const theirs = await Image.open(Buffer.from(data?.[0]?.b64_json ?? '', 'base64'));
    expect(Buffer.from(theirs.data).equals(expected)).toBe(true);
    const ui = await answer(
      post(`${base}/sdapi/v1/txt2img`, { ...run, cfg_scale: undefined, seed: 3, override_settings: {} }),
    );
    expect(ui.status).toBe(200);
    expect((await Image.open(Buffer.from(ui.body.images[0], 'base64'))).width).toBe(128);
  });

  test('changes a picture, and a part of it', async () => {
    const client = new OpenAI({ apiKey: 'none', baseURL: `${base}/v1` });
    const start = await alone({ steps: 4, seed: 1 });
    const image = await toFile(await start.toBuffer(), 'start.png', { type: 'image/png' });
    const options = { steps: 6, seed: 2, strength: 0.7 } as object;
    const edited = await client.images.edit({ image, prompt: 'a blue boat', ...options });
    const picture = await Image.open(Buffer.from(edited.data?.[0]?.b64_json ?? '', 'base64'));
    expect([picture.width, picture.height]).toEqual([128, 128]);
    expect(Buffer.from(picture.data).equals(Buffer.from(start.data))).toBe(false);
    const varied = await client.images.createVariation({ image, ...options });
    expect(varied.data).toHaveLength(1);
  });

  test('is refused what its pipeline refuses, before anything waits', async () => {
    for (const [body, words] of [
      [{ prompt: PROMPT, width: 100 }, 'width must be a multiple of 8'],
      [{ prompt: PROMPT, scheduler: '../../etc/passwd' }, 'scheduler'],
      [{ prompt: PROMPT, scheduler: 'Oiler' }, 'scheduler'],
      [{ prompt: PROMPT, cache: { interval: 0 } }, 'cache'],
      [{ steps: 3 }, 'prompt is missing'],
      [{ prompt: PROMPT, prompt2: 'a' }, 'prompt2'],
      [{ prompt: PROMPT, strength: 0.5 }, 'strength'],
    ] as const) {
      const { status, body: failure } = await answer(post(`${base}/api/jobs`, body));
      expect([status, failure.error.message]).toEqual([400, expect.stringContaining(words)]);
    }
    expect(
      (await answer(fetch(`${base}/api/jobs`))).body.jobs.filter(
        ({ state }: { state: string }) => state !== 'done',
      ),
    ).toEqual([]);
  });

  test('stops a run within a call when its caller goes', async () => {
    const long = { prompt: PROMPT, steps: 150, width: 512, height: 512 };
    const { body } = await answer(post(`${base}/api/jobs`, long));
    await until(async () => (await answer(fetch(`${base}/api/jobs/${body.id}`))).body.progress !== undefined);
    const { body: gone } = await answer(fetch(`${base}/api/jobs/${body.id}`, { method: 'DELETE' }));
    expect(gone.state).toBe('cancelled');
    expect(gone.progress.call).toBeLessThan(150);
    const next = await answer(post(`${base}/v1/images/generations`, { prompt: PROMPT, steps: 2 }));
    expect(next.status).toBe(200);
  });
});
