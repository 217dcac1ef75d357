import { invalidConfig, messageOf } from '../errors.js';
import { inSlices } from '../slices.js';
import { jsonSlices } from './json-slices.js';
import { parsePythonJson, TooMuchJson } from './python-json.js';
import { LIMITS, type ReadOptions, readSmallFile } from './read.js';

export type JsonObject = Record<string, unknown>;

/** Entries of an object in a configuration: those of real ones have fewer than 100, names of classes 1000. */
const MOST_FIELDS = 2 ** 11;

export interface ReadJsonOptions extends ReadOptions {
  /** Bytes; that of configurations by default. */
  max?: number;
}

/**
 * Reads a file that holds a JSON object, as JSON or as Python writes it. Configurations have few fields: what is done
 * with all of them is done at once.
 *
 * @returns its text, which native code reads again, and its value.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG naming the file.
 */
export async function readJson(
  path: string,
  { max, ...options }: ReadJsonOptions = {},
): Promise<{ text: string; value: JsonObject }> {
  // Some editors on Windows begin with a mark of the byte order.
  const bytes = await readSmallFile(path, max ?? LIMITS.config, options);
  const text = bytes.toString('utf8').replace(/^\ufeff/, '');
  const entries = max === undefined ? MOST_FIELDS : undefined;
  return { text, value: await readJsonObject(path, text, options.signal, entries) };
}

/** The object that a text holds, which may be long. `path` names it in errors. */
export async function readJsonObject(
  path: string,
  text: string,
  signal?: AbortSignal,
  mostEntries?: number,
): Promise<JsonObject> {
  try {
    return checkObject(path, await inSlices(jsonSlices(text, mostEntries), signal));
  } catch (error) {
    throw syntaxError(path, error);
  }
}

/** The same for a short text, in one go. */
export function parseJsonObject(path: string, text: string): JsonObject {
  try {
    return checkObject(path, parsePythonJson(text));
  } catch (error) {
    throw syntaxError(path, error);
  }
}

function syntaxError(path: string, error: unknown): unknown {
  if (!(error instanceof SyntaxError)) return error;
  if (error instanceof TooMuchJson) return invalidConfig(path, `has ${error.message}`, { cause: error });
  return invalidConfig(path, `is not JSON: ${messageOf(error)}`, { cause: error });
}

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG unless a file's value is an object. */
export function checkObject(path: string, value: unknown, what = 'a JSON object'): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidConfig(path, `must hold ${what}`);
  }
  return value as JsonObject;
}
