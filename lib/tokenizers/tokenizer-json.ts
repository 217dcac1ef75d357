import { DeepCacheError, invalidConfig } from '../errors.js';
import type { JsonObject } from '../files/json.js';

/** A vocabulary and its merges as they were read, with the files that messages name. */
export interface Words {
  file: string;
  mergesFile: string;
  vocab: JsonObject;
  merges: Iterable<unknown>;
}

// What CLIP's own file has, one inside of the other or not at all; what they do is not read from the file.
const NORMALIZERS = ['Sequence', 'NFC', 'Replace', 'Lowercase'];
const PRE_TOKENIZERS = ['Sequence', 'Split', 'ByteLevel'];

/**
 * The vocabulary and merges of a tokenizer.json, as fast tokenizers write it.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_UNSUPPORTED for tokenizers that work otherwise than CLIP's.
 */
export function wordsOfTokenizerJson(file: string, json: JsonObject): Words {
  const model = objectOf(json.model);
  if (!model) throw invalidConfig(file, 'lacks "model"');
  const unsupported = (what: string) =>
    new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `${file}: ${what}; CLIP's byte pair encoding is needed`);
  // Files of old versions do not say it.
  const type = model.type ?? (Array.isArray(model.merges) ? 'BPE' : undefined);
  if (type !== 'BPE') throw unsupported(`the model's type is ${JSON.stringify(type)}`);
  if (model.end_of_word_suffix !== '</w>') {
    throw unsupported(`end_of_word_suffix is ${JSON.stringify(model.end_of_word_suffix)}, not "</w>"`);
  }
  for (const field of ['continuing_subword_prefix', 'dropout', 'byte_fallback', 'ignore_merges']) {
    if (model[field]) throw unsupported(`${field} is ${JSON.stringify(model[field])}`);
  }
  checkSteps('normalizer', NORMALIZERS, 'Lowercase');
  checkSteps('pre_tokenizer', PRE_TOKENIZERS, 'ByteLevel');
  const vocab = objectOf(model.vocab);
  if (!vocab) throw invalidConfig(file, 'lacks the vocabulary, "model.vocab"');
  if (!Array.isArray(model.merges)) throw invalidConfig(file, 'lacks "model.merges"');
  return { file, mergesFile: file, vocab, merges: mergesOf(model.merges) };

  function checkSteps(field: string, known: readonly string[], needed: string): void {
    const types = typesOf(json[field]);
    const other = types.find((step) => !known.includes(step));
    if (other !== undefined) throw unsupported(`the ${field} ${JSON.stringify(other)} is not CLIP's`);
    if (types.length > 0 && !types.includes(needed)) throw unsupported(`the ${field} has no ${needed}`);
  }
}

/** Newer files hold pairs. */
function* mergesOf(merges: readonly unknown[]): Iterable<unknown> {
  for (const merge of merges) yield Array.isArray(merge) ? merge.join(' ') : merge;
}

/** The types of a step and, for a sequence, of what is in it. */
function typesOf(step: unknown): string[] {
  const { type, normalizers, pretokenizers } = objectOf(step) ?? {};
  if (type === undefined) return [];
  const inner = normalizers ?? pretokenizers;
  return [String(type), ...(Array.isArray(inner) ? inner.flatMap(typesOf) : [])];
}

function objectOf(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : undefined;
}
