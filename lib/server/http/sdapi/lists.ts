import type { FastifyInstance } from 'fastify';
import { LATENT_UPSCALERS } from '../../../hires/fields.js';
import type { Context } from '../context.js';
import { MODULE_NAMES } from './controlnet.js';
import { samplerItems, spacingItems } from './samplers.js';

/** What there is to choose from. Files are named by no path: where they lie is nobody's business. */
export function listRoutes(app: FastifyInstance, { engine }: Context, tags: string[]): void {
  const list = (name: string, summary: string, items: () => unknown) =>
    app.get(`/sdapi/v1/${name}`, { schema: { tags, summary } }, async () => items());

  const namesOf = (kind: 'loras' | 'controlNets' | 'embeddings') => [
    ...new Set(engine.models().flatMap((model) => model[kind] ?? [])),
  ];
  list('samplers', 'Samplers.', samplerItems);
  list('schedulers', 'Ways to space the steps.', spacingItems);
  list('sd-models', 'Models.', () =>
    engine.models().map(({ name }) => ({
      ...{ title: name, model_name: name, hash: null, sha256: null, filename: name, config: null },
    })),
  );
  list('loras', 'Adapters that prompts may name.', () =>
    namesOf('loras').map((name) => ({
      ...{ name, alias: name, path: name, metadata: {} },
    })),
  );
  list('upscalers', 'Networks that enlarge pictures.', () => {
    const known = engine.models().flatMap(({ upscalers = [] }) => upscalers);
    const scales = new Map(known.map(({ name, scale }) => [name, scale ?? null]));
    return [['None', null] as const, ...scales].map(([name, scale]) => ({
      ...{ name, model_name: null, model_path: null, model_url: null, scale },
    }));
  });
  list('latent-upscale-modes', 'Ways to enlarge latents.', () => LATENT_UPSCALERS.map((name) => ({ name })));
  // Asked for by clients when they connect; there are none.
  for (const name of ['sd-vae', 'hypernetworks', 'prompt-styles', 'face-restorers', 'scripts'])
    list(name, 'Empty.', () => (name === 'scripts' ? { txt2img: [], img2img: [] } : []));
  list('embeddings', 'Words of textual inversions.', () => ({
    loaded: Object.fromEntries(
      namesOf('embeddings').map((name) => [
        name,
        { step: null, sd_checkpoint: null, sd_checkpoint_name: null, shape: null, vectors: null },
      ]),
    ),
    skipped: {},
  }));
  app.get('/controlnet/model_list', { schema: { tags, summary: 'ControlNets.' } }, async () => ({
    model_list: namesOf('controlNets'),
  }));
  app.get(
    '/controlnet/module_list',
    { schema: { tags, summary: 'What is made of their pictures.' } },
    async () => ({
      module_list: MODULE_NAMES,
      module_detail: {},
    }),
  );
  app.get('/controlnet/version', { schema: { tags, summary: 'Of the extension.' } }, async () => ({
    version: 2,
  }));
  for (const name of ['refresh-checkpoints', 'refresh-loras'])
    app.post(`/sdapi/v1/${name}`, { schema: { tags, summary: 'Does nothing.' } }, async () => null);
}
