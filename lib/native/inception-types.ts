import type { Job } from './job.js';

/** The Inception v3 of Fréchet Inception distances. */
export interface NativeInception {
  /** Pixels of its pictures, which are square: 299. */
  readonly side: number;
  /** Features of a picture: 2048. */
  readonly width: number;
  /** [batch, 3, side, side] from -1 to 1 -> [batch, width]. */
  features(request: { readonly pixels: Float32Array; readonly batch: number }): Job<Float32Array>;
  memory(): { weights: number };
  dispose(): void;
}

/** Two positive semidefinite matrices A and B, [width, width]. */
export interface TraceRequest {
  readonly width: number;
  /** A, or with `isFactor` rows F of which A is transposed(F) * F. */
  readonly first: Float64Array;
  readonly isFactor: boolean;
  /** B */
  readonly second: Float64Array;
  /** 0: one for each CPU. */
  readonly threads: number;
}
