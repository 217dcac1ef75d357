import type { Store } from '../store.js';
import { FolderResults } from './in-folder.js';
import { RedisResults } from './in-redis.js';
import type { ResultStore } from './result-store.js';

/**
 * Where pictures are kept: in Redis, or in a folder that servers and workers share.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a folder that cannot be used.
 */
export async function openResults(folder: string | undefined, store: Store): Promise<ResultStore> {
  return folder === undefined ? new RedisResults(store) : FolderResults.open(folder);
}
