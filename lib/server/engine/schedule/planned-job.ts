import type { PassKind } from './costs.js';

/** A job as the scheduler sees it: U-Net calls of a known order. Times are milliseconds on one clock. */
export interface PlannedJob {
  readonly id: string;
  readonly model: string;
  /** Clients get the same shares; undefined: one of its own. */
  readonly client?: string | undefined;
  /** Higher ones go first. */
  readonly priority: number;
  /** When it came. */
  readonly queued: number;
  /** When it should be done. */
  readonly deadline?: number;
  /** Samples of the U-Net, the outputs of guidance included. */
  readonly samples: number;
  /** Latent pixels of a sample. */
  readonly pixels: number;
  /** What else must be the same to share a pass. */
  readonly shape: string;
  /** What each call computes, see PassKind. */
  readonly calls: readonly string[];
}

export function kindOf({ model, pixels }: PlannedJob, call: string): PassKind {
  return { model, call, pixels };
}
