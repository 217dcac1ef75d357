import { type TObject, Type } from '@sinclair/typebox';
import { CACHE_PRESETS } from '../deepcache/index.js';

// What a language model is told of the tools: their names, what they are for, and what they take.

const cache = Type.Optional(
  Type.Unsafe<string>({
    type: 'string',
    enum: ['off', ...Object.keys(CACHE_PRESETS)],
    description:
      'DeepCache: faster from quality to fast, and a little further from the picture without it. Default: as the model was set up, else off.',
  }),
);
const run = {
  prompt: Type.String({ description: 'What to show.' }),
  negativePrompt: Type.Optional(Type.String({ description: 'What not to show.' })),
  model: Type.Optional(Type.String({ description: 'A name that list_models gave. Default: the first.' })),
  steps: Type.Optional(Type.Integer({ description: "Steps of the sampler. Default: the model's." })),
  guidanceScale: Type.Optional(Type.Number({ description: 'How closely to follow the prompt.' })),
  seed: Type.Optional(
    Type.Integer({ description: 'The same seed makes the same picture. Default: a random one.' }),
  ),
};
const size = {
  width: Type.Optional(Type.Integer({ description: "In pixels, a multiple of 8. Default: the model's." })),
  height: Type.Optional(Type.Integer({ description: 'The same.' })),
};
const object = (fields: TObject['properties']) => Type.Object(fields, { additionalProperties: false });

/** A tool as it is listed. */
export interface Tool {
  readonly name: ToolName;
  readonly description: string;
  readonly inputSchema: TObject;
}
export type ToolName = 'list_models' | 'generate_image' | 'edit_image' | 'compare_cache';

export const TOOLS: readonly Tool[] = [
  { name: 'list_models', description: 'The models that make pictures here.', inputSchema: object({}) },
  {
    name: 'generate_image',
    description: 'Makes pictures of a prompt. Each has an id, by which edit_image finds it again.',
    inputSchema: object({
      ...{ ...run, ...size, cache },
      numImages: Type.Optional(Type.Integer({ description: 'How many, 1 by default.' })),
    }),
  },
  {
    name: 'edit_image',
    description:
      'Changes a picture as a prompt says: all of it, or only where a mask is white or transparent.',
    inputSchema: object({
      ...{ ...run, cache },
      image: Type.String({ description: 'The id of a picture that was made here, a data: URL, or base64.' }),
      mask: Type.Optional(
        Type.String({ description: 'White or transparent where to paint: a data: URL, or base64.' }),
      ),
      strength: Type.Optional(Type.Number({ description: 'How much of the picture to give up, 0 to 1.' })),
    }),
  },
  {
    name: 'compare_cache',
    description:
      'Makes the same picture without and with DeepCache, and says how much faster and how different it is.',
    inputSchema: object({
      ...{ ...run, ...size },
      settings: Type.Optional(
        Type.Array(Type.Unsafe<string>({ type: 'string', enum: Object.keys(CACHE_PRESETS) }), {
          description: 'Presets. Default: all of them.',
          maxItems: 3,
        }),
      ),
    }),
  },
];
