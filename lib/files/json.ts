import { invalidConfig, messageOf } from '../errors.js';
import { inSlices } from '../slices.js';
import { jsonSlices } from './json-slices.js';
import { parsePythonJson } from './python-json.js';
import { LIMITS, type ReadOptions, readSmallFile } from './read.js';

export type JsonObject = Record<string, unknown>;

export interface ReadJsonOptions extends ReadOptions {
  /** Bytes; that of configurations by default. */
  max?: number;
}

/**
 * Reads a file that holds a JSON object, as JSON or as Python writes it.
 *
 * @returns its text, which native code reads again, and its value.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG naming the file.
 */
export async function readJson(
  path: string,
  { max = LIMITS.config, ...options }: ReadJsonOptions = {},
): Promise<{ text: string; value: JsonObject }> {
  const text = (await readSmallFile(path, max, options)).toString('utf8');
  return { text, value: await readJsonObject(path, text, options.signal) };
}

/** The object that a text holds, which may be long. `path` names it in errors. */
export async function readJsonObject(path: string, text: string, signal?: AbortSignal): Promise<JsonObject> {
  try {
    return checkObject(path, await inSlices(jsonSlices(text), signal));
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
  return invalidConfig(path, `is not JSON: ${messageOf(error)}`, { cause: error });
}

function checkObject(path: string, value: unknown): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidConfig(path, 'must hold a JSON object');
  }
  return value as JsonObject;
}
