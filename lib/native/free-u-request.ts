/**
 * Inputs of an up layer, [n, c, h, w], and FreeU's factors: half of the channels of `x` are multiplied by `b`, the
 * frequencies of `skip` below `threshold` (1 to 4; in U-Nets 1) by `s`.
 */
export interface FreeURequest {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly x: Float32Array;
  readonly skip: Float32Array;
  readonly b: number;
  readonly s: number;
  readonly threshold: number;
}
