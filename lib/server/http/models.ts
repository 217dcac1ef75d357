import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { CACHE_PRESETS, FEW_CALLS } from '../../deepcache/settings.js';
import type { Context } from './context.js';

const names = (description: string) => Type.Optional(Type.Array(Type.String(), { description }));

/** A model as it is told. */
const Model = Type.Object(
  {
    name: Type.String(),
    className: Type.Optional(Type.String({ description: "Of its pipeline, in diffusers' words." })),
    width: Type.Optional(Type.Integer({ description: 'Of its pictures where a request names no size.' })),
    height: Type.Optional(Type.Integer()),
    steps: Type.Optional(Type.Integer({ description: 'Where a request says nothing else.' })),
    guidanceScale: Type.Optional(Type.Number()),
    cache: Type.Optional(
      Type.String({
        description:
          "The preset where a request says nothing, 'settings' where it has no name; absent: none.",
      }),
    ),
    macs: Type.Optional(
      Type.Object(
        { full: Type.Number(), cached: Type.Number() },
        { description: 'Multiplications of a U-Net call, in full and from the cache.' },
      ),
    ),
    presets: Type.Record(Type.String(), Type.Integer(), {
      description: 'Of the cache: every so many calls of the U-Net are in full.',
    }),
    fewCalls: Type.Integer({ description: 'Runs of so many calls, or fewer, have no cache by a preset.' }),
    loras: names('Adapters that requests may name.'),
    controlNets: names('The same of ControlNets.'),
    t2iAdapters: names('The same of T2I-Adapters.'),
    ipAdapters: names('The same of IP-Adapters.'),
    embeddings: names('Words of textual inversions.'),
    upscalers: Type.Optional(
      Type.Array(Type.Object({ name: Type.String(), scale: Type.Optional(Type.Number()) })),
    ),
  },
  { title: 'Model' },
);

/** What requests may choose from. */
export function modelRoutes(app: FastifyInstance, { engine }: Context): void {
  const presets = Object.fromEntries(
    Object.entries(CACHE_PRESETS).map(([name, { interval }]) => [name, interval]),
  );
  app.get(
    '/api/models',
    {
      schema: {
        tags: ['jobs'],
        summary: 'The models, and what requests for them may name; the default first.',
        response: { 200: Type.Object({ models: Type.Array(Model) }) },
      },
    },
    async () => ({
      models: await Promise.all(
        engine.models().map(async (model) => ({
          ...model,
          ...(await engine.about?.(model.name)),
          ...{ presets, fewCalls: FEW_CALLS },
        })),
      ),
    }),
  );
}
