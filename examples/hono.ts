// npm install hono @hono/node-server; npx tsx hono.ts; open http://localhost:3000/picture?prompt=a+red+barn
//
// The same with Hono; /steps is a stream of events with previews, for EventSource in a browser.
import { pathToFileURL } from 'node:url';
import type { ImageEngine, Job } from 'deepcache/server';
import { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';

export function buildApp(engine: ImageEngine): Hono {
  const app = new Hono();
  const submit = (prompt: string, signal: AbortSignal): Promise<Job> => {
    const options = { prompt, cache: 'balanced' };
    const submitted = engine.submit({ model: 'model', task: 'text-to-image', options, previewEvery: 5 });
    void submitted.then((job) => signal.addEventListener('abort', () => job.cancel(), { once: true }));
    return submitted;
  };

  app.get('/picture', async (c) => {
    const job = await submit(c.req.query('prompt') ?? 'a red barn', c.req.raw.signal);
    const { images } = await job.result;
    const file = (await images[0]?.toBuffer('png')) ?? Buffer.alloc(0);
    return c.body(new Uint8Array(file), 200, { 'content-type': 'image/png' });
  });

  app.get('/steps', async (c) => {
    const job = await submit(c.req.query('prompt') ?? 'a red barn', c.req.raw.signal);
    return streamSSE(c, async (stream) => {
      for await (const event of job.events()) {
        if (event.type !== 'step') continue;
        const picture = await event.preview?.toImage();
        const preview = picture && (await picture.toBuffer('jpeg', { quality: 70 })).toString('base64');
        await stream.writeSSE({
          event: 'step',
          data: JSON.stringify({ step: event.step, steps: event.steps, preview }),
        });
      }
      await stream.writeSSE({ event: job.state, data: '' });
    });
  });
  return app;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { ImageEngine } = await import('deepcache/server');
  const { serve } = await import('@hono/node-server');
  serve({ fetch: buildApp(new ImageEngine({ models: { model: 'demo' } })).fetch, port: 3000 });
}
