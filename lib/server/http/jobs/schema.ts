import { type Static, Type } from '@sinclair/typebox';
import { seed } from '../../../options/json.js';
import type { JobNetworks } from '../../engine/networks.js';
import { NetworkFields } from './network-fields.js';
import { RunFields } from './run-fields.js';

// What the server's own API takes and gives.

const words = (values: readonly string[], description: string) =>
  Type.Unsafe<string>({ type: 'string', enum: [...values], description });
const text = (description: string) => Type.String({ description });
const real = (description: string) => Type.Number({ description });
const whole = (description: string) => Type.Integer({ description });
const flag = (description: string) => Type.Boolean({ description });

const Seed = Type.Unsafe<number | string>(seed);

/** A request for pictures. */
export const JobBody = Type.Object(
  {
    model: Type.Optional(text('Which model; default: the first.')),
    ...RunFields,
    ...NetworkFields,
    priority: Type.Optional(whole('Below 0: it lets others go first.')),
    deadline: Type.Optional(Type.String({ format: 'date-time', description: 'When it should be done.' })),
    previewEvery: Type.Optional(
      Type.Integer({ minimum: 1, description: 'A preview with every so many steps. Default: never.' }),
    ),
    detach: Type.Optional(flag('Go on when nobody listens. Default: false.')),
    webhook: Type.Optional(
      Type.String({ description: 'An address that is told of the end.', maxLength: 2000 }),
    ),
  },
  { additionalProperties: false, title: 'Job' },
);

/** One that fits it: besides these fields it has options of a run. */
export interface JobBody {
  readonly model?: string;
  readonly loras?: JobNetworks['loras'];
  readonly controlNets?: readonly string[];
  readonly t2iAdapters?: readonly string[];
  readonly ipAdapters?: readonly string[];
  readonly priority?: number;
  readonly deadline?: string;
  readonly previewEvery?: number;
  readonly detach?: boolean;
  readonly webhook?: string;
  readonly [option: string]: unknown;
}

const Picture = Type.Object({
  url: Type.String({ description: 'Where its bytes are; ?format=png, jpeg or webp.' }),
  width: Type.Integer(),
  height: Type.Integer(),
});

/** What the server says about a job. */
export const JobStatus = Type.Object(
  {
    id: Type.String(),
    state: words(['queued', 'running', 'done', 'failed', 'cancelled'], 'Where it is.'),
    model: Type.String(),
    task: Type.String(),
    position: Type.Optional(whole('Its place in the queue: 1 is the next.')),
    secondsLeft: Type.Optional(real('Estimated time to its end.')),
    progress: Type.Optional(
      Type.Object({
        step: Type.Integer(),
        steps: Type.Integer(),
        call: Type.Integer(),
        calls: Type.Integer(),
      }),
    ),
    created: Type.String({ format: 'date-time' }),
    started: Type.Optional(Type.String({ format: 'date-time' })),
    ended: Type.Optional(Type.String({ format: 'date-time' })),
    images: Type.Optional(Type.Array(Picture)),
    seeds: Type.Optional(Type.Array(Seed)),
    settings: Type.Optional(Type.Array(Type.String())),
    notes: Type.Optional(Type.Array(Type.String())),
    seconds: Type.Optional(real('What making them took.')),
    speedup: Type.Optional(real('How much faster than without the cache it was denoised.')),
    error: Type.Optional(Type.Object({ code: Type.String(), message: Type.String() })),
  },
  { title: 'JobStatus' },
);
export type JobStatus = Static<typeof JobStatus>;

/** An answer that is no success. */
export const Failure = Type.Object(
  { error: Type.Object({ code: Type.String(), message: Type.String() }) },
  { title: 'Failure' },
);
