import { DeepCacheError } from '../errors.js';
import { RULES } from './forecast-factors.js';
import type { ForecastRule } from './schedule.js';
import type { Trials } from './trials.js';

/** So little of the clean latents changes nothing, and takes their room. */
const A_LITTLE = 1e-6;

/**
 * The rules that predictions can have with a sampler, by runs that tell what they take: it may leave no room for clean latents, or for
 * predictions at all.
 */
export async function usableRules(
  trials: Trials,
  rules: readonly ForecastRule[],
): Promise<readonly ForecastRule[]> {
  if (rules.length === 0) return rules;
  const clean = rules.includes('whole') ? { clean: Array<number>(trials.calls - 1).fill(A_LITTLE) } : {};
  try {
    await trials.errors({ steps: [0], between: 'predict', ...clean });
    return rules;
  } catch (error) {
    if (!(error instanceof DeepCacheError && error.code === 'ERR_DEEPCACHE_UNSUPPORTED')) throw error;
    return usableRules(
      trials,
      rules.includes('whole') ? RULES.filter((rule) => rule !== 'clean' && rule !== 'whole') : [],
    );
  }
}
