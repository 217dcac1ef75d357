import { DeepCacheError } from '../errors.js';

/** What a picture's text says that it was made from. */
export interface PictureSettings {
  /** As it was given. */
  readonly prompt: string;
  /** Empty where there was none. */
  readonly negativePrompt: string;
  /** Names and values of the last line, as texts: Steps, Sampler, CFG scale, Seed, Size and so on. */
  readonly fields: Readonly<Record<string, string>>;
}

/** Characters of a text that are looked at; prompts may have a megabyte. */
const MOST = 2 ** 22;
const MOST_FIELDS = 1000;

/** Letters, digits and spaces, a colon, and a value: text, or JSON's in quotes. */
const FIELD = /\s*([\w][\w \-/+.]{0,100}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)/y;

/**
 * Reads the text that our pictures and those of image programs hold: the prompt, the negative prompt, then a line of names
 * and values.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_IMAGE saying why it is no such text.
 */
export function parseSettings(text: string): PictureSettings {
  const fail = (why: string) => new DeepCacheError('ERR_DEEPCACHE_IMAGE', `the settings of a picture ${why}`);
  if (typeof text !== 'string') throw fail('are no text');
  if (text.length > MOST) throw fail(`have ${text.length} characters; at most ${MOST} are read`);
  const trimmed = text.replace(/\r\n?/g, '\n').trimEnd();
  const at = trimmed.lastIndexOf('\n');
  const fields = fieldsOf(trimmed.slice(at + 1));
  if (!fields) throw fail('have no line of names and values, such as "Steps: 20, Seed: 1"');
  const whole = textsOf(fields.Texts);
  if (whole)
    return {
      ...whole,
      fields: Object.fromEntries(Object.entries(fields).filter(([name]) => name !== 'Texts')),
    };
  const texts = at < 0 ? '' : trimmed.slice(0, at);
  const mark = /(?:^|\n)Negative prompt: ?/g;
  const last = [...texts.matchAll(mark)].at(-1);
  return {
    prompt: last ? texts.slice(0, last.index) : texts,
    negativePrompt: last ? texts.slice(last.index + last[0].length) : '',
    fields,
  };
}

function fieldsOf(line: string): Record<string, string> | undefined {
  const fields: [string, string][] = [];
  FIELD.lastIndex = 0;
  while (FIELD.lastIndex < line.length && fields.length < MOST_FIELDS) {
    const [, name = '', value = ''] = FIELD.exec(line) ?? [];
    if (name === '') return undefined;
    fields.push([name, unquoted(value.trim())]);
  }
  return fields.some(([name]) => name === 'Steps' || name === 'Seed')
    ? Object.fromEntries(fields)
    : undefined;
}

/** Both prompts, where lines do not tell where the one ends. */
function textsOf(json: string | undefined): { prompt: string; negativePrompt: string } | undefined {
  if (json === undefined) return undefined;
  try {
    const { prompt, negativePrompt } = JSON.parse(json) as Record<string, unknown>;
    return typeof prompt === 'string' && typeof negativePrompt === 'string'
      ? { prompt, negativePrompt }
      : undefined;
  } catch {
    return undefined;
  }
}

function unquoted(value: string): string {
  if (!value.startsWith('"')) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    return value;
  }
}
