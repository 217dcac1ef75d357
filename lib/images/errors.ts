import { DeepCacheError, messageOf } from '../errors.js';
import { shorten } from '../messages.js';

/** The error for a picture that cannot be read or written. */
export function imageError(message: string, cause?: unknown): DeepCacheError {
  if (cause instanceof DeepCacheError) return cause;
  const why = cause === undefined ? '' : `: ${shorten(messageOf(cause))}`;
  return new DeepCacheError('ERR_DEEPCACHE_IMAGE', message + why, { cause });
}
