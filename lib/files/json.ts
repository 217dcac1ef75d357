import { invalidConfig, messageOf } from '../errors.js';
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
  return { text, value: parseJsonObject(path, text) };
}

/** The object that a text holds. `path` names it in errors. */
export function parseJsonObject(path: string, text: string): JsonObject {
  let value: unknown;
  try {
    value = parsePythonJson(text);
  } catch (cause) {
    throw invalidConfig(path, `is not JSON: ${messageOf(cause)}`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidConfig(path, 'must hold a JSON object');
  }
  return value as JsonObject;
}
