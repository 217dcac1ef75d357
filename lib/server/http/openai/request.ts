import type { ImageFormat } from '../../../images/image.js';
import type { RawImage } from '../../../images/input.js';
import { type Context, modelOf } from '../context.js';
import type { Wanted } from '../jobs/request.js';
import { FieldError, type Fields } from './fields.js';

/** How the answer is wanted. */
export interface Delivery {
  readonly format: ImageFormat;
  /** Of JPEG and WebP. */
  readonly quality: number | undefined;
  readonly asUrl: boolean;
  readonly isStream: boolean;
  /** Pictures on the way, with a stream. */
  readonly partials: number;
}

/** Pictures that an edit or a variation starts from. */
export interface Pictures {
  readonly image?: Uint8Array | undefined;
  readonly mask?: Uint8Array | RawImage | undefined;
}

/** Steps of a run where neither it nor its model says; only to space previews out. */
const USUAL_STEPS = 50;

/** A run as OpenAI's fields describe it. */
export async function wantedOf(
  context: Context,
  fields: Fields,
  { image, mask }: Pictures = {},
): Promise<Wanted> {
  const { n, seed, steps, guidance, cache, scheduler, strength, negative_prompt: negativePrompt } = fields;
  const [width, height] = sizeOf(fields.size);
  const given = { steps, seed, cache, scheduler, negativePrompt, guidanceScale: guidance };
  const named = Object.entries({ ...given, width, height, numImages: n, ...(image && { strength }) });
  const { partials, isStream } = deliveryOf(fields);
  const model = modelOf(context, fields.model);
  const calls = partials > 0 ? (steps ?? (await context.engine.about?.(model))?.steps ?? USUAL_STEPS) : 1;
  return {
    model,
    options: {
      prompt: fields.prompt ?? '',
      ...Object.fromEntries(named.filter(([, value]) => value !== undefined)),
    },
    ...{ image, mask },
    ...(isStream && partials > 0 && { previewEvery: Math.max(1, Math.floor(calls / (partials + 1))) }),
  };
}

/** @throws FieldError */
export function deliveryOf(fields: Fields): Delivery {
  const { partial_images: partials = 0, output_compression: quality, stream = false } = fields;
  const { output_format: format = 'png', response_format: answer = 'b64_json' } = fields;
  if (partials < 0 || partials > 3)
    throw new FieldError('partial_images', "'partial_images' must be from 0 to 3.");
  if (quality !== undefined && (quality < 0 || quality > 100))
    throw new FieldError('output_compression', "'output_compression' must be from 0 to 100.");
  if (fields.background === 'transparent')
    throw new FieldError('background', 'Transparent backgrounds are not supported.');
  const isStream = stream && answer === 'b64_json';
  if (stream && !isStream) throw new FieldError('response_format', 'A stream has pictures as b64_json.');
  return {
    ...{ format, partials, isStream, asUrl: answer === 'url' },
    quality: quality === undefined ? undefined : Math.max(1, quality),
  };
}

function sizeOf(size = 'auto'): [width?: number, height?: number] {
  if (size === 'auto') return [];
  const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(size) ?? [];
  if (width === undefined)
    throw new FieldError('size', "Invalid value: 'size' must be 'auto' or WIDTHxHEIGHT.");
  return [Number(width), Number(height)];
}
