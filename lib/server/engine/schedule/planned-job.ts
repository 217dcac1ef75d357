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
  /** What is on the model's weights while it runs: jobs with something else there are not under way with it. */
  readonly weights?: string | undefined;
  /** What is loaded beside the model for it, by kinds: of a kind that two jobs use it must be the same. */
  readonly beside?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Whether two jobs may be under way at the same time. */
export function goTogether(a: PlannedJob, b: PlannedJob): boolean {
  if (a.model !== b.model) return true;
  if ((a.weights ?? '') !== (b.weights ?? '')) return false;
  return Object.entries(a.beside ?? {}).every(([kind, own]) => {
    const other = b.beside?.[kind];
    return own === undefined || other === undefined || own === other;
  });
}

export function kindOf({ model, pixels }: PlannedJob, call: string): PassKind {
  return { model, call, pixels };
}
