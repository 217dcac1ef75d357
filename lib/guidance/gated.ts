import { hasGate } from '../deepcache/gate.js';
import type { CallPlan, PlacedCall } from '../deepcache/policy.js';
import type { CallGuidance } from '../deepcache/programs.js';
import { DeepCacheError, invalidArgument } from '../errors.js';
import type { GuidanceOptions } from './calls.js';
import { perturbs } from './perturbed.js';
import { degrades } from './self-attention.js';

/**
 * Refuses a gate (T-GATE) where there is no cross attention of pictures.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_UNSUPPORTED
 */
export function refuseGate(calls: readonly CallPlan[], what: string): void {
  if (!hasGate(calls)) return;
  throw new DeepCacheError(
    'ERR_DEEPCACHE_UNSUPPORTED',
    `cache.gateStep needs a U-Net of pictures that reads a condition; this is ${what}`,
  );
}

/**
 * Checks the guidance of a run with a gate (T-GATE), at which the outputs for both prompts are averaged.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT or ERR_DEEPCACHE_UNSUPPORTED naming the option that does not go with it.
 */
export function requireGuided(
  calls: readonly PlacedCall[],
  guidance: readonly CallGuidance[] | undefined,
  options: GuidanceOptions,
): void {
  if (!hasGate(calls)) return;
  const names = ['cutoffStepIndex', 'cutoffStepRatio'] as const;
  const other = perturbs(options)
    ? 'pagScale'
    : degrades(options)
      ? 'sagScale'
      : options.guidanceThird !== undefined
        ? 'imageGuidanceScale'
        : names.find((name) => options[name] !== undefined);
  if (other) throw invalidArgument('cache.gateStep', `does not go together with ${other}`);
  const single = guidance?.findIndex(
    (own, i) => own.halves === 'conditional' && (calls[i] as { halves?: string }).halves === undefined,
  );
  if (single === undefined || single < 0) return;
  throw invalidArgument(
    'cache.gateStep',
    `needs guidance in every call before it, where both prompts count; call ${single} has none`,
  );
}
