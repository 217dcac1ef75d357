import type { AdaptedWeight } from '../native/adapter-terms.js';
import type { TensorShape } from '../native/types.js';

/** The networks of a pipeline that adapters change, in diffusers' names. */
export type PartName = 'unet' | 'text_encoder' | 'text_encoder_2';

/** What adapters' files are read for. */
export interface PartShapes {
  readonly part: PartName;
  /** Its configuration. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Every weight that it has, in diffusers' names. */
  weightShapes(): readonly TensorShape[];
}

/** A network that takes adapters. */
export interface AdaptablePart extends PartShapes {
  /** See Adaptable of lib/native/types.ts. */
  adapt(weights: readonly AdaptedWeight[]): Promise<void>;
}
