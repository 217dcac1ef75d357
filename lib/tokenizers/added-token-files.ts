import { join } from 'node:path';
import { invalidConfig } from '../errors.js';
import type { JsonObject } from '../files/json.js';
import { keysOf } from '../files/json-slices.js';
import { show } from '../messages.js';
import { type AddedToken, LONGEST_TOKEN } from './added-tokens.js';

/** What a folder says about added tokens; each `{}` where there is no such file. */
export interface AddedTokenSources {
  folder: string;
  /** tokenizer_config.json */
  config: JsonObject;
  /** special_tokens_map.json */
  map: JsonObject;
  /** added_tokens.json */
  added: JsonObject;
  /** tokenizer.json */
  tokenizer: JsonObject;
}

/** Whether tokenizer_config.json lists the added tokens: then it says all about them (transformers 4.34). */
export function hasDecoder(config: JsonObject): boolean {
  return typeof config.added_tokens_decoder === 'object' && config.added_tokens_decoder !== null;
}

/**
 * The tokens that a vocabulary was extended with, where transformers looks for them: tokenizer_config.json, or the
 * files that older versions wrote. Further special tokens without an id are appended.
 */
export function readAddedTokens(
  { folder, config, map, added, tokenizer }: AddedTokenSources,
  vocab: ReadonlyMap<string, number>,
): AddedToken[] {
  const tokens = new Map<string, AddedToken>();
  let characters = 0;
  const add = (name: string, id: unknown, value: unknown) => {
    const file = join(folder, name);
    const token = tokenOf(value);
    if (!token) throw invalidConfig(file, `has an added token without text, of id ${show(id)}`);
    if (token.content.length > LONGEST_TOKEN) {
      const length = `${token.content.length} characters; at most ${LONGEST_TOKEN}`;
      throw invalidConfig(file, `has an added token of ${length}: ${show(token.content)}`);
    }
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) > MAX_ID) {
      throw invalidConfig(file, `the id of ${show(token.content)} is ${show(id)}`);
    }
    characters += token.content.length;
    if (characters > MOST_CHARACTERS) {
      throw invalidConfig(file, `has added tokens of more than ${MOST_CHARACTERS} characters together`);
    }
    tokens.set(token.content, { ...token, id: id as number, file });
  };
  if (hasDecoder(config)) {
    const decoder = config.added_tokens_decoder as JsonObject;
    for (const id of keysOf(decoder)) {
      add('tokenizer_config.json', /^\d+$/.test(id) ? Number(id) : id, decoder[id]);
    }
  } else {
    for (const content of keysOf(added)) add('added_tokens.json', added[content], content);
    if (Array.isArray(tokenizer.added_tokens)) {
      for (const value of tokenizer.added_tokens) add('tokenizer.json', (value as JsonObject)?.id, value);
    }
  }
  let next = vocab.size + [...tokens.keys()].filter((content) => !vocab.has(content)).length;
  for (const [name, source] of [
    ['special_tokens_map.json', map],
    ['tokenizer_config.json', config],
  ] as const) {
    for (const [field, value] of specials(source)) {
      const content = tokenOf(value)?.content;
      if (content === undefined || tokens.has(content)) continue;
      // A main one that nothing gives an id is a mistake, which the reader reports.
      if (vocab.has(content) || !NAMED.includes(field)) add(name, vocab.get(content) ?? next++, value);
    }
  }
  return [...tokens.values()];
}

/** Of all tokens; thousands are rare. */
const MOST_CHARACTERS = 2 ** 18;
/** No vocabulary comes near it. */
const MAX_ID = 2 ** 24;

const NAMED = ['pad_token', 'bos_token', 'eos_token', 'unk_token', 'sep_token', 'cls_token', 'mask_token'];

/** Special tokens: texts, or transformers' AddedToken as an object. */
function* specials(source: JsonObject): Iterable<[field: string, value: unknown]> {
  for (const field of NAMED) yield [field, source[field]];
  for (const field of ['additional_special_tokens', 'extra_special_tokens']) {
    const list = source[field];
    if (typeof list !== 'object' || list === null) continue;
    for (const value of Object.values(list)) yield [field, value];
  }
}

function tokenOf(value: unknown): Omit<AddedToken, 'id' | 'file'> | undefined {
  const { content, ...flags } = (typeof value === 'object' && value !== null ? value : {}) as JsonObject;
  const text = typeof value === 'string' ? value : content;
  if (typeof text !== 'string' || text === '') return undefined;
  return {
    content: text,
    lstrip: flags.lstrip === true,
    rstrip: flags.rstrip === true,
    singleWord: flags.single_word === true,
  };
}
