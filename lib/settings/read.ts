import { DeepCacheError } from '../errors.js';
import { openPicture } from '../images/picture.js';
import { type PictureSettings, parseSettings } from './parse.js';

export type { PictureSettings } from './parse.js';

/**
 * The settings in a picture's file: those that this package wrote, or those of an image program that writes
 * `parameters` as AUTOMATIC1111's web UI does. No pixels are decoded, and texts of any size cost a bounded memory.
 *
 * @param source its path, or its bytes.
 * @throws DeepCacheError ERR_DEEPCACHE_IMAGE for a file that is no picture, or holds no such settings.
 */
export async function readSettings(
  source: string | Uint8Array,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<PictureSettings> {
  const name = typeof source === 'string' ? source : 'the image';
  const { metadata } = await openPicture(source, { signal });
  const { parameters } = metadata;
  if (parameters === undefined) {
    throw new DeepCacheError('ERR_DEEPCACHE_IMAGE', `${name} holds no settings (no text "parameters")`);
  }
  try {
    return parseSettings(parameters);
  } catch (cause) {
    throw new DeepCacheError('ERR_DEEPCACHE_IMAGE', `${name}: ${(cause as Error).message}`, { cause });
  }
}
