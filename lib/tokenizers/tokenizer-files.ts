import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeepCacheError, invalidConfig, messageOf } from '../errors.js';

export interface SpecialTokens {
  bos: string;
  eos: string;
  unk: string;
  pad: string;
}

/** What a CLIP tokenizer is made of; every special token is in the vocabulary. */
export interface TokenizerFiles {
  vocab: ReadonlyMap<string, number>;
  merges: readonly string[];
  special: SpecialTokens;
  modelMaxLength: number;
}

type Json = Record<string, unknown>;

// The original file lists more merges than were used: CLIP's vocabulary of 49408 entries holds 512 for the
// bytes, within and at the end of a word, and 2 special tokens.
const MAX_MERGES = 49408 - 512 - 2;

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG naming the file that is missing or broken. */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const vocabFile = join(folder, 'vocab.json');
  const [vocab, merges, config, map] = await Promise.all([
    readVocab(vocabFile),
    readMerges(join(folder, 'merges.txt')),
    readOptionalJson(join(folder, 'tokenizer_config.json')),
    readOptionalJson(join(folder, 'special_tokens_map.json')),
  ]);
  // The map wins: the config of SD 2.1 names another pad token than its map, and "!" of the map is
  // what the model was trained with.
  const token = (name: string, fallback: string) => {
    const value = tokenText(map[name]) ?? tokenText(config[name]) ?? fallback;
    if (!vocab.has(value)) {
      throw invalidConfig(vocabFile, `has no entry for the ${name} ${JSON.stringify(value)}`);
    }
    return value;
  };
  const special = {
    bos: token('bos_token', '<|startoftext|>'),
    eos: token('eos_token', '<|endoftext|>'),
    unk: token('unk_token', '<|endoftext|>'),
    pad: token('pad_token', '<|endoftext|>'),
  };
  return { vocab, merges, special, modelMaxLength: maxLength(config, folder) };
}

async function readVocab(file: string): Promise<Map<string, number>> {
  const vocab = new Map<string, number>();
  for (const [token, id] of Object.entries(parseObject(file, await readText(file)))) {
    if (!Number.isInteger(id) || (id as number) < 0) {
      throw invalidConfig(file, `the id of ${JSON.stringify(token)} is ${JSON.stringify(id)}, not a number`);
    }
    vocab.set(token, id as number);
  }
  return vocab;
}

async function readMerges(file: string): Promise<string[]> {
  const lines = (await readText(file)).trim().split(/\r?\n/);
  if (lines[0]?.startsWith('#version')) lines.shift();
  lines.splice(MAX_MERGES);
  const bad = lines.findIndex((line) => !/^\S+ \S+$/u.test(line));
  if (bad >= 0) {
    throw invalidConfig(file, `merge ${bad + 1} is ${JSON.stringify(lines[bad])}, not two pieces of a word`);
  }
  return lines;
}

/** A special token is a string, or transformers' AddedToken with the string as `content`. */
function tokenText(value: unknown): string | undefined {
  const text = typeof value === 'object' && value !== null ? (value as Json).content : value;
  return typeof text === 'string' && text !== '' ? text : undefined;
}

function maxLength(config: Json, folder: string): number {
  const length = config.model_max_length ?? 77;
  if (typeof length !== 'number' || !(length >= 3)) {
    throw invalidConfig(
      join(folder, 'tokenizer_config.json'),
      `model_max_length is ${JSON.stringify(length)}, not a number of at least 3`,
    );
  }
  // transformers writes 1e30 for "unknown"; no CLIP model takes more than 77.
  return Number.isInteger(length) && length < 1e6 ? length : 77;
}

async function readOptionalJson(file: string): Promise<Json> {
  try {
    return parseObject(file, await readFile(file, 'utf8'));
  } catch (error) {
    if (isMissing(error)) return {};
    throw error instanceof DeepCacheError ? error : unreadable(file, error);
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, cause: unknown): DeepCacheError {
  const why = isMissing(cause)
    ? 'is missing; a CLIP tokenizer needs it'
    : `cannot be read: ${messageOf(cause)}`;
  return invalidConfig(file, why, { cause });
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

function parseObject(file: string, text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalidConfig(file, `is not JSON: ${messageOf(cause)}`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidConfig(file, 'is not a JSON object');
  }
  return value as Json;
}
