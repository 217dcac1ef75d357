/**
 * Values that are copied to native memory in parts. They belong to the first request that takes them, and then are
 * empty.
 */
export interface NativeFloats {
  /** Throws ERR_DEEPCACHE_INVALID_ARGUMENT for what is not finite, or too much. */
  append(values: Float32Array): void;
}

/** What requests take, for arrays that may be large. */
export type Floats = Float32Array | NativeFloats;
