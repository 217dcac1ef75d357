export { DeepCacheError, type DeepCacheErrorCode } from './errors.js';
