import type { FileStamp } from '../files/random-access.js';

/** Bits of a value of each dtype, in safetensors' words. */
export const BITS = {
  F64: 64,
  F32: 32,
  F16: 16,
  BF16: 16,
  F8_E4M3: 8,
  F8_E5M2: 8,
  I64: 64,
  I32: 32,
  I16: 16,
  I8: 8,
  U8: 8,
  BOOL: 8,
  C64: 64,
} as const;

/** A tensor of a file of weights: where its values lie. */
export interface StoredTensor {
  readonly name: string;
  /** In safetensors' words: a key of {@link BITS}, or one that nothing computes with. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly file: string;
  /** Bytes from the file's start to the first value. */
  readonly offset: number;
  readonly bytes: number;
  /** For two axes: the values of an [out, in] lie there as those of an [in, out]. */
  readonly transposed?: boolean | undefined;
}

/** A file of weights, as its tables say. */
export interface WeightsFile {
  readonly path: string;
  readonly format: 'safetensors' | 'torch zip' | 'torch legacy';
  readonly tensors: readonly StoredTensor[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Of the file when it was opened; see checkUnchanged of lib/files/random-access.ts. */
  readonly stamp: FileStamp;
}
