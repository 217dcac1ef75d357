import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { validateBranch } from './branches.js';
import type { CachePolicy, CallPlan, Layout, PolicyRun, PredictedCall, RetrieveCall } from './policy.js';

export interface AdaptiveSettings {
  /** Calls whose input has changed by less since the last full one are skipped: 0 skips none, Infinity all. */
  threshold: number;
  /** So many calls in a row may be skipped, at least 1. */
  maxSkips: number;
  /** What is done instead. */
  instead: RetrieveCall | PredictedCall;
}

/**
 * Full calls where the U-Net's input has changed, which is measured during the run: |input - kept| / |kept|, the L1 norms
 * over a sample, `kept` being the input of the last full call. The sample that changed most decides for its batch.
 */
export class AdaptivePolicy implements CachePolicy {
  readonly settings: Readonly<AdaptiveSettings>;

  /** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT */
  constructor(settings: AdaptiveSettings) {
    const { threshold, maxSkips } = settings;
    if (!(threshold >= 0)) throw invalidArgument('threshold', `must be at least 0, got ${show(threshold)}`);
    if (!Number.isInteger(maxSkips) || maxSkips < 1) {
      throw invalidArgument('maxSkips', `must be a whole number of at least 1, got ${show(maxSkips)}`);
    }
    this.settings = settings;
  }

  layout({ timesteps, branches }: PolicyRun): Layout {
    const { instead } = this.settings;
    if (instead.kind === 'retrieve') validateBranch(instead.branch, 1, branches - 1, 'branch');
    const adaptive: CallPlan = { kind: 'adaptive', ...this.settings };
    return { calls: timesteps.map((_, i) => (i === 0 ? { kind: 'full' } : adaptive)) };
  }
}
