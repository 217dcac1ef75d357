/** A number shared by the batch, or one per sample. */
export type PerSample = number | readonly number[];

// native/runtime/table.h is this file in C++; its head lists what a new field of a row changes.

/** What a table holds at most, here and natively: its slots, rows and programs; assignments and terms of one row. */
export const TABLE_LIMITS = {
  slots: ['x', 'm', 'x0', 'noise', 's0', 's1', 's2', 's3', 's4', 's5', 's6', 's7', 's8', 's9'],
  rows: 100_000,
  programs: 1000,
  assignments: 6,
  terms: 64,
} as const;

/** The registers of the denoising loop. Each holds one tensor of the latent's shape. */
export type Slot = (typeof TABLE_LIMITS)['slots'][number];

/** coefficient * slot. */
export interface Term {
  /** What is multiplied. */
  slot: Slot;
  /** Its factor. */
  coefficient: PerSample;
}

/** `to <- sum of coefficient * slot`. All terms are read before `to` is written. */
export interface Assignment {
  /** The slot that takes the sum. */
  to: Exclude<Slot, 'm' | 'noise'>;
  /** What is summed up. */
  terms: readonly Term[];
}

/**
 * One U-Net call, or a guess of what it would give, and the arithmetic after it; or that alone. A row is executed in this
 * order:
 *
 * 1. The U-Net of `program` runs on `inputScale * x` at `timestep`; a retrieve step with the feature that the last full
 *    call left plus `featureGamma` times what that is more than the feature of the full call before.
 *    A program that `degrades` computes the last of a sample's outputs behind the others: on inputScale * x whose clean
 *    latents, as the first output has them, are blurred where pixels got much attention (see {@link Program}).
 * 2. `m` becomes the guided output (see {@link Guidance}). Without guidance it becomes the output for the positive
 *    prompt, or the only one that the program computes. A row with `predict` runs no U-Net: `m` becomes the sum of
 *    its terms, which read what the rows before left, `m` included. See {@link Skip} for rows that may do either. A row
 *    with neither a program nor `predict` stands for no call, and `m` stays as it is.
 * 3. `x0` becomes `x0.x * x + x0.m * m`, then is clamped to +-`clamp`, or dynamically thresholded per sample:
 *    s = the `ratio` quantile of |x0| (linear interpolation), s = min(max(s, 1), max), x0 = clamp(x0, -s, s) / s.
 * 4. `assign` runs in order; each assignment reads what the earlier ones left.
 * 5. `blend`, for inpainting without channels for it: x = M * x + (1 - M) * (init * initLatents + noise * noise0),
 *    M = 1 where the picture is repainted. With `redrawn` the row's draw is in the place of noise0.
 *
 * `x` is the latent; at the start of a run it is already multiplied by the schedule's initNoiseSigma.
 * The slots s0 to s9 are zero at the start of a run and keep their values from row to row.
 */
export interface StepRow {
  /** Index into StepTable.programs. */
  program?: number;
  /** Instead of a program, or with a `skip`; of any slot but the noise. */
  predict?: readonly Term[];
  /** Decides during the run whether the row's program runs, which must be a full one. */
  skip?: Skip;
  /** Given to the U-Net; may be fractional. */
  timestep: PerSample;
  /** The model is given inputScale * x. */
  inputScale: PerSample;
  /** Of retrieve steps: how far the change of their feature goes on. Default 0, which is DeepCache. */
  featureGamma?: PerSample;
  /** Of programs that degrade: the share of the clean latents in x. */
  signal?: PerSample;
  /** Default: none. */
  guidance?: Guidance;
  /** What the row takes for the clean latents: p * x + q * m, then clipped. */
  x0: { x: PerSample; m: PerSample; clamp?: number; threshold?: { ratio: number; max: number } };
  /** Up to six; all sums of a row have 64 terms at most. */
  assign: readonly Assignment[];
  /** Index of the noise draw that the slot `noise` means in this row. */
  noise?: PerSample;
  /** Puts the kept part of a picture back: x = mask * x + (1 - mask) * (init * initLatents + noise * noise0). */
  blend?: { init: PerSample; noise: PerSample; redrawn?: boolean };
}

/** Whether a row stands for a call of the U-Net, which may be predicted: what a run has for each call leaves others out. */
export function isCall({ program, predict }: Pick<StepRow, 'program' | 'predict'>): boolean {
  return program !== undefined || predict !== undefined;
}

/**
 * Classifier-free guidance: m = u + scale * (c - u), u and c being the outputs for the negative and the positive
 * prompt; then m = rescale * m * std(c) / std(m) + (1 - rescale) * m, with the standard deviation (n - 1) of each
 * sample (Lin et al. 2023, section 3.4).
 *
 * Any other combination of up to three outputs whose factors add up to 1 is of the same form:
 * m = e0 + scale * (e1 - e0) + third * (e2 - e0), where e1 is the one for the positive prompt if there are several.
 */
export interface Guidance {
  /** The guidance scale. */
  scale: PerSample;
  /** The factor of a third output, where a run has three. */
  third?: PerSample;
  /** Share of the guided output that is rescaled to the conditional one's deviation, 0 to 1. */
  rescale: PerSample;
  /** Combines two outputs otherwise than as a sum with factors that are known before. */
  rule?: GuidanceRule;
}

/** A slot that keeps its values from row to row. */
export type HistorySlot = Exclude<Slot, 'x' | 'm' | 'x0' | 'noise'>;

/**
 * m = u + scale * d with d = c - u, of which something is changed by what a sample's outputs are like (a . b is the
 * sum of their products over the sample). `fromConditional`: m = c + scale * d.
 *
 * | kind | what it changes | reference |
 * |---|---|---|
 * | zero | m = 0 | CFG-Zero*: the first calls |
 * | zeroStar | u becomes u times (c . u) / (u . u + 1e-8), in d too | CFG-Zero* |
 * | projected | d is shortened to the length `limit` (0: not at all); of its part along c only `eta` stays | APG |
 * | averaging | nothing; d counts for the average | mixed APG: the first calls |
 * | tangential | u becomes its part along the first right singular vector of [c, u], in d too | TCFG |
 * | magnitude | scale becomes 1 + (scale - 1) e, from c on scale * e, e = exp(-alpha * abs(d) / abs(u)) | MaMBo-G |
 */
export interface GuidanceRule {
  /** What is changed. */
  kind: 'zero' | 'averaging' | 'zeroStar' | 'projected' | 'tangential' | 'magnitude';
  /** The sum begins at c instead of u. */
  fromConditional?: boolean;
  /** The share that stays; default 1. */
  eta?: number;
  /** The largest length of d; default 0: any. */
  limit?: number;
  /** d becomes d + momentum * average, which is the average from then on. */
  momentum?: number;
  /** Where that is; needed with a momentum. */
  average?: HistorySlot;
  /** How fast the scale fades; default 0. */
  alpha?: number;
}

/**
 * While `inputScale * x` has changed by less than `threshold` since the last full call, and at most `maxSkips` times one
 * after the other, a row does something cheaper than its program: it runs the retrieve step `program`, or without one
 * takes `predict`. The change is |input - kept| / |kept|, the L1 norms over a sample; the sample that changed most
 * decides for the batch, as one picture that falls behind is worse than a call too many. Rows that may not skip, such as
 * those before the first full call, measure nothing.
 */
export interface Skip {
  /** The row is skipped while its input has changed by less. */
  threshold: number;
  /** So many rows in a row may be skipped, at least 1. */
  maxSkips: number;
  /** What a skipped row runs instead, as an index into StepTable.programs; without it the row's `predict` counts. */
  program?: number;
}

/**
 * Which outputs of guidance a program computes: for both prompts, the positive (the second output) or the negative one
 * (the first), or all, where there are three.
 */
export type Halves = 'all' | 'both' | 'conditional' | 'unconditional';

/**
 * Which plan a row runs. `branch` is DeepCache's cache_branch_id. A retrieve step takes its features from the last full
 * one, which must have computed at least the same outputs. In runs without guidance all programs compute the only one.
 */
export interface Program {
  /** All of the U-Net, or a retrieve step. */
  kind: 'full' | 'retrieve';
  /** Of retrieve steps. */
  branch?: number;
  /** Default 'all'. */
  halves?: Halves;
  /** Numbers of the run's ControlNets that run with it; default none. */
  networks?: readonly number[];
  /** Of cross attention; by default it is computed. */
  cross?: AttentionUse;
  /** Of self attention; by default it is computed. */
  self?: AttentionUse;
  /**
   * Computes the last output on degraded latents (self-attention guidance, Hong et al. 2023). A pass of the others comes
   * first; e = x0.x * x + x0.m * (the first output) is its estimate of the clean latents. Where the pixels of the mid
   * block got more attention than the mean in the last full pass, e is blurred: the model is given
   * inputScale * (x + signal * (blurred e - e)). `halves` is 'all'; a retrieve step comes behind a full one that degrades.
   */
  degrades?: boolean;
}

/**
 * What a program does about the outputs of attention, which is otherwise to compute them: keep them besides, of each of
 * its outputs, or their mean over the outputs; or take what an earlier program has kept. A full program keeps them in
 * all layers, a retrieve step in those that it runs.
 */
export type AttentionUse = 'keep' | 'mean' | 'kept';

/** A run as data: which program every row runs, and the arithmetic around it. */
export interface StepTable {
  /** What rows name by index. */
  programs: readonly Program[];
  /** In the order in which they run. */
  rows: readonly StepRow[];
}
