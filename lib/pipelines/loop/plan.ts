import type { CompiledSchedule, StepTable } from '../../schedulers/index.js';
import type { RanCall } from './calls.js';

/** A run's step table, and what it says about the run. */
export interface RunPlan {
  table: StepTable;
  compiled: CompiledSchedule;
}

/** What a loop made. */
export interface LoopResult {
  readonly latents: Float32Array;
  readonly calls: readonly RanCall[];
}

/** Bytes that a run will allocate, known before anything is. */
export interface MemoryEstimate {
  /** The U-Net's activations and buffers. */
  unet: number;
  /** The autoencoder's activations, one image or tile at a time. */
  vae: number;
  /** The autoencoder of previews, which works beside the U-Net. */
  previews?: number;
  /** Pictures that the run reads, where it does. */
  pictures?: number;
}
