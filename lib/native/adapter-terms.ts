import type { FileStamp } from '../files/random-access.js';

/** What adapters do to one weight of a model; docs/lora.md has the formulas. */
export interface AdaptedWeight {
  /** In diffusers' names. */
  readonly name: string;
  /** None: as it was published. */
  readonly terms: readonly AdapterTerm[];
  /** What the terms' files were when they were loaded, for those who read them again; native code does not look at it. */
  readonly stamps?: ReadonlyMap<string, FileStamp> | undefined;
}

/** One adapter's part in it. */
export interface AdapterTerm {
  readonly kind: 'lora' | 'loha' | 'lokr' | 'ia3' | 'full' | 'glora';
  /** The user's. */
  readonly scale: number;
  /** Of the file: alpha / rank. */
  readonly factor: number;
  /** IA3: along the input axis. */
  readonly onInput?: boolean | undefined;
  /** How the tensor `magnitude` (DoRA) and the scale go together. */
  readonly magnitudeRule?: 'interpolated' | 'peft' | undefined;
  /** By the part that they play: native/adapters/term.h. */
  readonly tensors: AdapterTensors;
}

/** */
export type AdapterTensors = Readonly<Partial<Record<AdapterRole, AdapterTensor>>>;

/** Where the values of an adapter's tensor lie; TensorSource of types.ts without a name. */
export interface AdapterTensor {
  readonly file: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly transposed?: boolean | undefined;
}

/** */
export type AdapterRole =
  | 'up'
  | 'down'
  | 'mid'
  | 'w1'
  | 'w1_a'
  | 'w1_b'
  | 'w2'
  | 'w2_a'
  | 'w2_b'
  | 't1'
  | 't2'
  | 'diff'
  | 'weight'
  | 'magnitude';
