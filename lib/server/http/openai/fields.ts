import { RequestError } from '../errors.js';

// Requests for OpenAI's Images: fields of JSON, or of a form, where all are texts. The names are theirs; those below
// the line are ours.

type Kind = 'text' | 'whole' | 'number' | 'flag' | 'cache' | 'seed' | readonly string[];

const FIELDS = {
  prompt: 'text',
  model: 'text',
  n: 'whole',
  size: 'text',
  response_format: ['url', 'b64_json'],
  output_format: ['png', 'jpeg', 'webp'],
  output_compression: 'whole',
  stream: 'flag',
  partial_images: 'whole',
  background: ['auto', 'opaque', 'transparent'],
  // Of no meaning here.
  moderation: 'text',
  quality: 'text',
  style: 'text',
  user: 'text',
  input_fidelity: 'text',
  // Ours.
  negative_prompt: 'text',
  steps: 'whole',
  guidance: 'number',
  seed: 'seed',
  cache: 'cache',
  scheduler: 'text',
  strength: 'number',
} as const satisfies Record<string, Kind>;

type Value<K extends Kind> = K extends 'text'
  ? string
  : K extends 'whole' | 'number'
    ? number
    : K extends 'flag'
      ? boolean
      : K extends 'seed'
        ? number | string
        : K extends 'cache'
          ? unknown
          : K extends readonly (infer Choice)[]
            ? Choice
            : never;

/** What a request holds; `null` counts as nothing. */
export type Fields = { readonly [Name in keyof typeof FIELDS]?: Value<(typeof FIELDS)[Name]> };

/** An error that names the field, as OpenAI's do. */
export class FieldError extends RequestError {
  constructor(
    readonly param: string,
    message: string,
    code = 'invalid_value',
  ) {
    super(400, code, message);
  }
}

/**
 * Checks names and types.
 *
 * @param given JSON's values, or texts of a form.
 * @throws FieldError
 */
export function readFields(given: Readonly<Record<string, unknown>>): Fields {
  const fields: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined) continue;
    const kind = Object.hasOwn(FIELDS, name) ? (FIELDS as Record<string, Kind>)[name] : undefined;
    if (kind === undefined) {
      const shown = name.slice(0, 100);
      throw new FieldError(shown, `Unknown parameter: '${shown}'.`, 'unknown_parameter');
    }
    fields[name] = readValue(name, kind, value);
  }
  return fields as Fields;
}

function readValue(name: string, kind: Kind, value: unknown): unknown {
  const wrong = (what: string) =>
    new FieldError(name, `Invalid value for '${name}': it must be ${what}.`, 'invalid_type');
  switch (kind) {
    case 'text':
      if (typeof value !== 'string') throw wrong('a text');
      return value;
    case 'whole':
    case 'number': {
      const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
      if (typeof number !== 'number' || !Number.isFinite(number)) throw wrong('a number');
      if (kind === 'whole' && !Number.isSafeInteger(number)) throw wrong('a whole number');
      return number;
    }
    case 'flag': {
      const flag = value === 'true' ? true : value === 'false' ? false : value;
      if (typeof flag !== 'boolean') throw wrong('true or false');
      return flag;
    }
    case 'seed':
      if (Number.isSafeInteger(value) || (typeof value === 'string' && /^-?\d{1,20}$/.test(value)))
        return value;
      throw wrong('a whole number');
    case 'cache':
      return readCache(value, wrong);
    default:
      if (kind.includes(value as string)) return value;
      throw new FieldError(name, `Invalid value: '${name}' must be one of ${kind.join(', ')}.`);
  }
}

/** A preset, false, or settings, which a form has as JSON. */
function readCache(value: unknown, wrong: (what: string) => Error): unknown {
  if (value === 'false' || value === 'off') return false;
  if (typeof value !== 'string' || !value.trimStart().startsWith('{')) return value;
  try {
    return JSON.parse(value);
  } catch {
    throw wrong("a preset, false, or the cache's settings");
  }
}
