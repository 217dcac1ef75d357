/** JSON Schema (draft 2020-12) of an option's values, for requests that come as JSON. */
export type JsonForm = Readonly<Record<string, unknown>>;

/** Numbers in a list; no run has as many calls. */
const MOST_ITEMS = 1000;
/** Characters of a text that is no prompt. */
const LONGEST_NAME = 200;
/** Pictures that networks see, or that make up a run. */
const MOST_PICTURES = 16;

export const whole = (minimum?: number, maximum?: number): JsonForm => ({
  type: 'integer',
  ...(minimum !== undefined && { minimum }),
  ...(maximum !== undefined && { maximum }),
});
export const real = (minimum?: number, maximum?: number): JsonForm => ({
  type: 'number',
  ...(minimum !== undefined && { minimum }),
  ...(maximum !== undefined && { maximum }),
});
export const flag: JsonForm = { type: 'boolean' };
export const name: JsonForm = { type: 'string', minLength: 1, maxLength: LONGEST_NAME };
export const choice = (values: readonly string[]): JsonForm => ({ type: 'string', enum: [...values] });
export const list = (items: JsonForm, most = MOST_ITEMS): JsonForm => ({
  type: 'array',
  items,
  minItems: 1,
  maxItems: most,
});
/** As many of these as there are networks, or one for all. */
export const oneOrList = (items: JsonForm, most = MOST_PICTURES): JsonForm => ({
  anyOf: [items, list(items, most)],
});
/** Fields that are all optional, unless `required` names them. */
export const object = (
  properties: Readonly<Record<string, JsonForm>>,
  required: readonly string[] = [],
): JsonForm => ({
  type: 'object',
  properties,
  ...(required.length > 0 && { required: [...required] }),
  additionalProperties: false,
});
export const off: JsonForm = { const: false };

/** One text, or a list for pictures of several. How long they may be is the server's to say. */
export const texts: JsonForm = oneOrList({ type: 'string' }, 512);

/** JSON has no whole numbers of 64 bits that all its readers take. */
export const seed: JsonForm = {
  anyOf: [whole(), { type: 'string', pattern: '^-?\\d{1,20}$' }],
  description: 'A whole number of 64 bits; a text where a number would not be exact.',
};

/** A picture's file: in base64, or as a `data:` URL. */
export const picture: JsonForm = {
  type: 'string',
  contentEncoding: 'base64',
  description: "A picture's file in base64, or a data: URL of one.",
};

/** Whether values are pictures, or lists of such. */
export function isOfPictures({ anyOf, items, contentEncoding }: JsonForm): boolean {
  if (contentEncoding !== undefined) return true;
  const parts = [...((anyOf as JsonForm[] | undefined) ?? []), ...(items ? [items as JsonForm] : [])];
  return parts.some(isOfPictures);
}
