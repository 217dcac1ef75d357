import type { CallGuidance } from '../deepcache/programs.js';
import { invalidArgument } from '../errors.js';
import type { UNetModel } from '../models/unet.js';
import type { CompiledRow, NoiseLevel } from '../schedulers/compiled.js';
import type { Guidance } from '../schedulers/table.js';

// Self-attention guidance (Hong et al. 2023): where the U-Net looks most, the latents are blurred, and pictures are moved
// away from what it makes of them without a prompt. It is the last of a sample's outputs.

/** What a run says of it, in diffusers' names. */
export interface SelfAttentionOptions {
  readonly sagScale?: number | undefined;
}

/** Whether a run has it. */
export const degrades = ({ sagScale = 0 }: SelfAttentionOptions): boolean => sagScale > 0;

/**
 * Guidance with the output of degraded latents, the last one: m + s (u - d), without a negative prompt c + s (c - d).
 *
 * @param guidance without it; undefined for runs that have no other.
 */
export function withDegraded(
  { sagScale = 0 }: SelfAttentionOptions,
  guidance: Guidance | undefined,
): CallGuidance {
  if (!guidance) return { scale: -sagScale, rescale: 0, degrades: true };
  return { ...guidance, third: -sagScale, degrades: true };
}

/** The same rows with the share of the clean latents in x, for programs that degrade. */
export function withSignals(rows: readonly CompiledRow[], levels: readonly NoiseLevel[]): CompiledRow[] {
  return rows.map((row, i) => ({ ...row, signal: (levels[i] as NoiseLevel).sqrtAlpha }));
}

const LOOKS = 'mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight';

/**
 * Refuses a U-Net without the self attention that says where it looks, that of its mid block.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT
 */
export function requireSelfAttention(unet: UNetModel): void {
  if (unet.weightShapes().some(({ name }) => name === LOOKS)) return;
  throw invalidArgument('sagScale', 'needs a U-Net whose mid block has self attention; this one has none');
}
