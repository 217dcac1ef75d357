import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { CACHE_PRESETS } from '../../../deepcache/index.js';
import { INTERPOLATION_MODES } from '../../../images/interpolate.js';

// What the server's own API takes and gives. Names and meanings of a run's options are those of `generate`; the schema
// says which of them a request may have, and their types. Ranges are the pipeline's business.

const words = (values: readonly string[], description: string) =>
  Type.Unsafe<string>({ type: 'string', enum: [...values], description });
const text = (description: string) => Type.String({ description });
const real = (description: string) => Type.Number({ description });
const whole = (description: string) => Type.Integer({ description });
const flag = (description: string) => Type.Boolean({ description });
const object = <T extends Record<string, TSchema>>(fields: T, description: string) =>
  Type.Object(fields, { additionalProperties: false, description });

const Seed = Type.Union([Type.Integer(), Type.String({ pattern: '^-?\\d{1,20}$' })], {
  description: 'A whole number of 64 bits; a text where a number would not be exact.',
});

const Cache = Type.Union([
  Type.Literal(false),
  words(Object.keys(CACHE_PRESETS), 'A preset.'),
  object(
    {
      interval: Type.Optional(Type.Integer()),
      branch: Type.Optional(Type.Integer()),
      schedule: Type.Optional(words(['uniform', 'nonuniform'], 'How full calls are spread.')),
      center: Type.Optional(Type.Number()),
      power: Type.Optional(Type.Number()),
      steps: Type.Optional(Type.Array(Type.Integer(), { maxItems: 1000 })),
      plan: Type.Optional(Type.String({ maxLength: 1000 })),
      damping: Type.Optional(Type.Number()),
      gamma: Type.Optional(Type.Array(Type.Number(), { maxItems: 1000 })),
    },
    'DeepCache by its settings.',
  ),
]);

const HiresFix = object(
  {
    scale: Type.Optional(Type.Number()),
    strength: Type.Optional(Type.Number()),
    steps: Type.Optional(Type.Integer()),
    upscaler: Type.Optional(words(INTERPOLATION_MODES, 'How latents are enlarged.')),
    antialias: Type.Optional(Type.Boolean()),
    seed: Type.Optional(Seed),
  },
  'A second pass over the enlarged picture.',
);

/** Options of a run that requests may have, as `generate` takes them. */
export const RunFields = {
  prompt: Type.Optional(text('What to show.')),
  negativePrompt: Type.Optional(text('What not to show.')),
  prompt2: Type.Optional(text('SDXL: for the second text encoder.')),
  negativePrompt2: Type.Optional(text('The same for what not to show.')),
  width: Type.Optional(whole('In pixels.')),
  height: Type.Optional(whole('In pixels.')),
  numImages: Type.Optional(whole('Pictures to make.')),
  steps: Type.Optional(whole('Steps of the sampler.')),
  guidanceScale: Type.Optional(real('How closely to follow the prompt; 1 is off.')),
  guidanceRescale: Type.Optional(real('Against overexposure by strong guidance.')),
  seed: Type.Optional(Seed),
  seeds: Type.Optional(Type.Array(Seed, { description: 'One for each picture.', maxItems: 1000 })),
  cache: Type.Optional(Cache),
  scheduler: Type.Optional(text('A sampler by its name, such as "DPM++ 2M Karras".')),
  eta: Type.Optional(real('Randomness of DDIM and TCD.')),
  clipSkip: Type.Optional(whole('Last layers of the text encoder to skip.')),
  longPrompts: Type.Optional(flag('Read more than 75 tokens.')),
  promptWeighting: Type.Optional(flag('Read (word:1.3) as weights.')),
  loraSyntax: Type.Optional(flag('Read <lora:name:0.8> in the prompt.')),
  vaeTiling: Type.Optional(flag('Decode in tiles.')),
  hiresFix: Type.Optional(HiresFix),
  image: Type.Optional(text('The picture to start from: base64 or a data: URL.')),
  maskImage: Type.Optional(text('White where it is to be repainted: base64 or a data: URL.')),
  strength: Type.Optional(real('How much of the picture to give up.')),
  keepOriginal: Type.Optional(flag('Keep every pixel outside of the mask as it is.')),
};

/** A request for pictures. */
export const JobBody = Type.Object(
  {
    model: Type.Optional(text('Which model; default: the first.')),
    ...RunFields,
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
export type JobBody = Static<typeof JobBody>;

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
