import { invalidArgument } from '../../../errors.js';
import { show } from '../../../messages.js';
import type { Store } from '../store.js';
import { FolderResults } from './in-folder.js';
import { RedisResults } from './in-redis.js';
import { S3Results } from './in-s3.js';
import type { ResultStore } from './result-store.js';
import { s3Place } from './s3-place.js';

/**
 * Where pictures are kept: in Redis, or in a folder or a bucket that servers and workers share.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a place that cannot be used, ERR_DEEPCACHE_UNSUPPORTED and
 * ERR_DEEPCACHE_BACKEND_UNAVAILABLE as {@link S3Results.open}.
 */
export async function openResults(place: string | undefined, store: Store): Promise<ResultStore> {
  if (place === undefined) return new RedisResults(store);
  if (typeof place !== 'string' || place === '')
    throw invalidArgument('results', `must be a folder or s3://BUCKET/PREFIX, got ${show(place)}`);
  const bucket = s3Place(place);
  return bucket ? S3Results.open(bucket) : FolderResults.open(place);
}
