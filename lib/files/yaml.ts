import { invalidConfig, messageOf } from '../errors.js';
import { checkObject, type JsonObject } from './json.js';
import { type ReadOptions, readSmallFile } from './read.js';

/** Training configurations have a few kB; they are read in one go. */
const MOST_BYTES = 2 ** 17;

/**
 * Reads a YAML file that holds an object: no other tags than YAML's own, a bounded number of aliases.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG naming the file.
 */
export async function readYaml(path: string, options: ReadOptions = {}): Promise<JsonObject> {
  const text = (await readSmallFile(path, MOST_BYTES, options)).toString('utf8');
  // Few models have such a file.
  const { parse } = await import('yaml');
  let value: unknown;
  try {
    value = parse(text, { logLevel: 'error' });
  } catch (cause) {
    throw invalidConfig(path, `is not YAML: ${messageOf(cause)}`, { cause });
  }
  return checkObject(path, value, 'an object');
}
