import { join } from 'node:path';
import { allInOrder } from '../aborting.js';
import { invalidConfig } from '../errors.js';
import { type JsonObject, parseJsonObject, readJson } from '../files/json.js';
import { isMissing, LIMITS, readSmallFile } from '../files/read.js';

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

// The original file lists more merges than were used: CLIP's vocabulary of 49408 entries holds 512 for the
// bytes, within and at the end of a word, and 2 special tokens.
const MAX_MERGES = 49408 - 512 - 2;

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG naming the file that is missing or broken. */
export async function readTokenizerFiles(folder: string, signal?: AbortSignal): Promise<TokenizerFiles> {
  const vocabFile = join(folder, 'vocab.json');
  const [vocab, merges, config, map] = await allInOrder([
    readVocab(vocabFile, signal),
    readMerges(join(folder, 'merges.txt'), signal),
    readOptionalJson(join(folder, 'tokenizer_config.json'), signal),
    readOptionalJson(join(folder, 'special_tokens_map.json'), signal),
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

async function readVocab(file: string, signal?: AbortSignal): Promise<Map<string, number>> {
  const vocab = new Map<string, number>();
  for (const [token, id] of Object.entries(parseJsonObject(file, await readText(file, signal)))) {
    if (!Number.isInteger(id) || (id as number) < 0) {
      throw invalidConfig(file, `the id of ${JSON.stringify(token)} is ${JSON.stringify(id)}, not a number`);
    }
    vocab.set(token, id as number);
  }
  return vocab;
}

async function readMerges(file: string, signal?: AbortSignal): Promise<string[]> {
  const lines = (await readText(file, signal)).trim().split(/\r?\n/);
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
  const text = typeof value === 'object' && value !== null ? (value as JsonObject).content : value;
  return typeof text === 'string' && text !== '' ? text : undefined;
}

function maxLength(config: JsonObject, folder: string): number {
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

async function readOptionalJson(file: string, signal?: AbortSignal): Promise<JsonObject> {
  try {
    return (await readJson(file, { signal })).value;
  } catch (error) {
    if (isMissing(error)) return {};
    throw error;
  }
}

async function readText(file: string, signal?: AbortSignal): Promise<string> {
  try {
    return (await readSmallFile(file, LIMITS.vocabulary, { signal })).toString('utf8');
  } catch (error) {
    if (isMissing(error))
      throw invalidConfig(file, 'is missing; a CLIP tokenizer needs it', { cause: error });
    throw error;
  }
}
