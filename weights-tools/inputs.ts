import { DeepCacheError, invalidConfig } from '../lib/errors.js';
import { statOf } from '../lib/files/read.js';
import { locateModel } from '../lib/models/locate.js';

/** A file, or a folder with a model or some of its networks. */
export interface Input {
  readonly path: string;
  readonly isFile: boolean;
}

/**
 * What a path stands for: a folder of the Hub's cache for its snapshot, one that holds just one model for that.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG where there is nothing, or neither a file nor a folder.
 */
export async function locateInput(path: string, signal?: AbortSignal): Promise<Input> {
  const found = statOf(path);
  if (!found) throw invalidConfig(path, 'does not exist');
  if (found.isFile()) return { path, isFile: true };
  if (!found.isDirectory()) throw invalidConfig(path, 'is neither a file nor a folder');
  try {
    const { folder, file = folder } = await locateModel(path, signal);
    return { path: file, isFile: file !== folder };
  } catch (error) {
    // A folder with single networks in it is no model.
    if (error instanceof DeepCacheError) return { path, isFile: false };
    throw error;
  }
}
