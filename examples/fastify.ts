// npm install fastify; npx tsx fastify.ts; curl -d '{"prompt": "a red barn"}' -H 'content-type: application/json' localhost:3000/picture -o barn.png
//
// A route of an application of one's own that answers with a picture.
import { pathToFileURL } from 'node:url';
import { DeepCacheError } from 'deepcache';
import type { ImageEngine } from 'deepcache/server';
import fastify from 'fastify';

/** What requests may ask for: the rest is the application's. */
const body = {
  type: 'object',
  required: ['prompt'],
  additionalProperties: false,
  properties: {
    prompt: { type: 'string', maxLength: 1000 },
    steps: { type: 'integer', minimum: 1, maximum: 50 },
    seed: { type: 'integer', minimum: 0 },
  },
} as const;

export function buildApp(engine: ImageEngine) {
  const app = fastify();
  app.post<{ Body: { prompt: string; steps?: number; seed?: number } }>(
    '/picture',
    { schema: { body } },
    async (request, reply) => {
      const options = { cache: 'balanced', ...request.body };
      const job = await engine.submit({ model: 'model', task: 'text-to-image', options, client: request.ip });
      // Whoever has gone wants no picture.
      reply.raw.once('close', () => job.cancel());
      const { images, seeds } = await job.result;
      const file = await images[0]?.toBuffer('png');
      return reply.type('image/png').header('x-seed', String(seeds[0])).send(file);
    },
  );
  app.setErrorHandler((error, _, reply) => {
    const code = error instanceof DeepCacheError ? error.code : undefined;
    if (code === 'ERR_DEEPCACHE_BUSY')
      return reply.code(429).header('retry-after', 5).send({ error: 'busy' });
    if (code === 'ERR_DEEPCACHE_INVALID_ARGUMENT')
      return reply.code(400).send({ error: (error as Error).message });
    return reply.send(error);
  });
  app.addHook('onClose', () => engine.close());
  return app;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { ImageEngine } = await import('deepcache/server');
  console.log(await buildApp(new ImageEngine({ models: { model: 'demo' } })).listen({ port: 3000 }));
}
