import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { invalidConfig } from '../errors.js';
import { type JsonObject, type ReadJsonOptions, readJson, readJsonObject } from '../files/json.js';
import { keysOf } from '../files/json-slices.js';
import { isMissing, LIMITS, readSmallFile } from '../files/read.js';
import { show } from '../messages.js';
import { inSlices, type Sliced } from '../slices.js';
import { hasDecoder, readAddedTokens } from './added-token-files.js';
import type { AddedToken } from './added-tokens.js';
import { type Words, wordsOfTokenizerJson } from './tokenizer-json.js';

export interface SpecialTokens {
  bos: string;
  eos: string;
  unk: string;
  pad: string;
}

/** What a CLIP tokenizer is made of; every special token is in the vocabulary, or added. */
export interface TokenizerFiles {
  /** Where the vocabulary is from. */
  file: string;
  vocab: ReadonlyMap<string, number>;
  /** The vocabulary's tokens by their ids, and the largest of them. */
  texts: ReadonlyMap<number, string>;
  maxId: number;
  /** Pairs `left right` with their ranks, 0 for the most important. */
  merges: ReadonlyMap<string, number>;
  special: SpecialTokens;
  /** Special tokens, and those that the vocabulary was extended with. */
  added: readonly AddedToken[];
  modelMaxLength: number;
}

// The original file lists more merges than were used: CLIP's vocabulary of 49408 entries holds 512 for the
// bytes, within and at the end of a word, and 2 special tokens.
const MAX_MERGES = 49408 - 512 - 2;

/**
 * Reads vocab.json and merges.txt or, without them, tokenizer.json; and what describes special and added tokens.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG naming the file that is missing or broken,
 * ERR_DEEPCACHE_UNSUPPORTED for tokenizers of another kind.
 */
export async function readTokenizerFiles(folder: string, signal?: AbortSignal): Promise<TokenizerFiles> {
  // One after the other: the first that is broken is named.
  const optional = (name: string, max?: number) =>
    readOptionalJson(join(folder, name), { signal, ...(max && { max }) });
  const config = await optional('tokenizer_config.json', LIMITS.vocabulary);
  const map = await optional('special_tokens_map.json');
  const hasWords = ['vocab.json', 'merges.txt'].every((name) => existsSync(join(folder, name)));
  const tokenizer = hasWords && hasDecoder(config) ? {} : await optional('tokenizer.json', LIMITS.tokenizer);
  const words =
    !hasWords && tokenizer.model !== undefined
      ? wordsOfTokenizerJson(join(folder, 'tokenizer.json'), tokenizer)
      : await readWords(folder, signal);
  const { vocab, texts, maxId } = await inSlices(readVocab(words), signal);
  const added = readAddedTokens(
    { folder, config, map, added: await optional('added_tokens.json', LIMITS.vocabulary), tokenizer },
    vocab,
  );
  // The map wins over configurations of its time: that of SD 2.1 names another pad token than its map, and "!" of the
  // map is what the model was trained with.
  const sources = hasDecoder(config) ? [config, map] : [map, config];
  const token = (name: string, fallback: string) =>
    sources.map((source) => tokenText(source[name])).find(Boolean) ?? fallback;
  const special = {
    bos: token('bos_token', '<|startoftext|>'),
    eos: token('eos_token', '<|endoftext|>'),
    unk: token('unk_token', '<|endoftext|>'),
    pad: token('pad_token', '<|endoftext|>'),
  };
  // Without these the vocabulary is another model's; a pad token may have been added.
  for (const [name, content] of Object.entries(special)) {
    if (!vocab.has(content) && !added.some((entry) => entry.content === content)) {
      throw invalidConfig(words.file, `has no entry for the ${name}_token ${show(content)}`);
    }
  }
  return {
    file: words.file,
    vocab,
    texts,
    maxId,
    merges: await inSlices(readMerges(words), signal),
    special,
    added,
    modelMaxLength: maxLength(config, folder),
  };
}

async function readWords(folder: string, signal?: AbortSignal): Promise<Words> {
  const [file, mergesFile] = [join(folder, 'vocab.json'), join(folder, 'merges.txt')];
  const vocab = await readJsonObject(file, await readText(file, signal), signal);
  return { file, mergesFile, vocab, merges: linesOf((await readText(mergesFile, signal)).trim()) };
}

/** The merges of a merges.txt. */
function* linesOf(text: string): Iterable<string> {
  let start = 0;
  for (let count = 0; count < MAX_MERGES && start <= text.length; ) {
    const found = text.indexOf('\n', start);
    const end = found < 0 ? text.length : found;
    const line = text.slice(start, text[end - 1] === '\r' ? end - 1 : end);
    if (start > 0 || !line.startsWith('#version')) {
      yield line;
      count++;
    }
    start = end + 1;
  }
}

/** Entries between two pauses. */
const STRETCH = 512;

function* readVocab({ file, vocab }: Words): Sliced<Pick<TokenizerFiles, 'vocab' | 'texts' | 'maxId'>> {
  const ids = new Map<string, number>();
  const texts = new Map<number, string>();
  let maxId = 0;
  let count = 0;
  for (const token of keysOf(vocab)) {
    const id = vocab[token] as number;
    if (!Number.isInteger(id) || id < 0) {
      throw invalidConfig(file, `the id of ${show(token)} is ${show(id)}, not a number`);
    }
    ids.set(token, id);
    texts.set(id, token);
    maxId = Math.max(maxId, id);
    if (++count % STRETCH === 0) yield;
  }
  return { vocab: ids, texts, maxId };
}

function* readMerges({ mergesFile, merges }: Words): Sliced<Map<string, number>> {
  const ranks = new Map<string, number>();
  let rank = 0;
  for (const line of merges) {
    if (typeof line !== 'string' || !/^\S+ \S+$/u.test(line)) {
      throw invalidConfig(mergesFile, `merge ${rank + 1} is ${show(line)}, not two pieces of a word`);
    }
    ranks.set(line, rank++);
    if (rank % STRETCH === 0) yield;
  }
  return ranks;
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
      `model_max_length is ${show(length)}, not a number of at least 3`,
    );
  }
  // transformers writes 1e30 for "unknown"; no CLIP model takes more than 77.
  return Number.isInteger(length) && length < 1e6 ? length : 77;
}

async function readOptionalJson(file: string, options: ReadJsonOptions): Promise<JsonObject> {
  try {
    return (await readJson(file, options)).value;
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
