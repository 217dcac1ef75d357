import type { FastifyInstance } from 'fastify';
import { LATENT_UPSCALERS } from '../../../hires/fields.js';
import type { Context } from '../context.js';
import { samplerItems, spacingItems } from './samplers.js';

/** What there is to choose from. Files are named by no path: where they lie is nobody's business. */
export function listRoutes(app: FastifyInstance, { engine }: Context, tags: string[]): void {
  const list = (name: string, summary: string, items: () => unknown) =>
    app.get(`/sdapi/v1/${name}`, { schema: { tags, summary } }, async () => items());

  list('samplers', 'Samplers.', samplerItems);
  list('schedulers', 'Ways to space the steps.', spacingItems);
  list('sd-models', 'Models.', () =>
    engine.models().map(({ name }) => ({
      ...{ title: name, model_name: name, hash: null, sha256: null, filename: name, config: null },
    })),
  );
  list('loras', 'Adapters that prompts may name.', () =>
    [...new Set(engine.models().flatMap(({ loras = [] }) => loras))].map((name) => ({
      ...{ name, alias: name, path: name, metadata: {} },
    })),
  );
  list('upscalers', 'Networks that enlarge pictures: none.', () => [
    { name: 'None', model_name: null, model_path: null, model_url: null, scale: null },
  ]);
  list('latent-upscale-modes', 'Ways to enlarge latents.', () => LATENT_UPSCALERS.map((name) => ({ name })));
  // Asked for by clients when they connect; there are none.
  for (const name of ['sd-vae', 'hypernetworks', 'prompt-styles', 'face-restorers', 'scripts'])
    list(name, 'Empty.', () => (name === 'scripts' ? { txt2img: [], img2img: [] } : []));
  list('embeddings', 'Empty.', () => ({ loaded: {}, skipped: {} }));
  for (const name of ['refresh-checkpoints', 'refresh-loras'])
    app.post(`/sdapi/v1/${name}`, { schema: { tags, summary: 'Does nothing.' } }, async () => null);
}
