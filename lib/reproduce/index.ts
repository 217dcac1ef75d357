import { PUBLISHED_MACS, type PublishedRow } from '../configs/paper.js';
import { UNET_CONFIGS } from '../configs/unets.js';
import { native } from '../native/binding.js';
import { finish } from '../native/device.js';
import type { UnetPlanInfo } from '../native/types.js';

export type { PublishedRow } from '../configs/paper.js';

/** A published figure beside what the architecture costs. */
export interface ReproducedRow extends PublishedRow {
  /** Billions of multiply-accumulates per step and sample, as `published`. */
  computed: number;
  /** `computed` minus `published`. */
  difference: number;
  /** Whether they are the same, but for rounding. */
  matches: boolean;
}

/**
 * The average multiply-accumulates of the DeepCache paper's tables (arXiv 2312.00858), computed from the configurations
 * of its models.
 *
 * @param signal stops it; the promise rejects with its reason.
 */
export async function reproduce(signal?: AbortSignal): Promise<ReproducedRow[]> {
  const plans = new Map<string, UnetPlanInfo>();
  for (const model of new Set(PUBLISHED_MACS.map(({ model }) => model))) {
    plans.set(model, await planOf(model, signal));
  }
  return PUBLISHED_MACS.map((row) => {
    const plan = plans.get(row.model) as UnetPlanInfo;
    const full = plan.full.repo / 1e9;
    const retrieve = (plan.branches[row.branch]?.repo ?? 0) / 1e9;
    const fullCalls = Math.ceil(row.steps / row.interval);
    const computed = (fullCalls * full + (row.steps - fullCalls) * retrieve) / row.steps;
    const difference = computed - row.published;
    return { ...row, computed, difference, matches: Math.abs(difference) <= tolerance(row.published) };
  });
}

/** 0.02 billion, or half a unit of the published last digit where that is more. */
function tolerance(published: number): number {
  const digits = String(published).split('.')[1]?.length ?? 0;
  // A little more than half: published figures end in binary fractions that are not exact.
  return Math.max(0.02, 0.5 * 10 ** -digits) + 1e-9;
}

function planOf(model: string, signal: AbortSignal | undefined): Promise<UnetPlanInfo> {
  const config = UNET_CONFIGS[model] as Readonly<Record<string, unknown>>;
  const side = sampleSize(config);
  const size = { batch: 1, height: side, width: side, contextLength: model.startsWith('ldm') ? 1 : 77 };
  return finish(() => native().planUnet(JSON.stringify(config), size), signal);
}

function sampleSize(config: Readonly<Record<string, unknown>>): number {
  const nested = (config.params as { image_size?: number } | undefined)?.image_size;
  return Number(config.sample_size ?? config.image_size ?? nested ?? 64);
}
