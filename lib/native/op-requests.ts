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

/**
 * Latents `x`, [n, c, h, w], whose clean estimate byX * x + byX2 * x2 is blurred where the mean of `mass` over its
 * channels is above 1, and which hold `signal` times that.
 */
export interface MaskedBlurRequest {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly x: Float32Array;
  readonly x2: Float32Array;
  readonly mass: { readonly height: number; readonly width: number; readonly values: Float32Array };
  readonly byX: number;
  readonly byX2: number;
  readonly signal: number;
}
