import {
  type CacheOptions,
  type CachePolicy,
  type CallPlan,
  lineFactor,
  SettingsPolicy,
} from '../../deepcache/index.js';
import { invalidArgument } from '../../errors.js';
import type { Decider, LabPolicy, LabRun, PolicyFamily } from '../policy.js';
import { mix } from '../vectors.js';

const DEEPCACHE = 'Ma, Fang, Wang: DeepCache, CVPR 2024 (arXiv 2312.00858)';

/** What the option's own policies lay out before a run: full calls, retrieved ones with held features, and forecast ones. */
export function laidOut(policy: CachePolicy, { timesteps, levels, shares }: LabRun): Decider {
  const { calls } = policy.layout({ timesteps, schedulerTimesteps: timesteps, branches: shares.length });
  const full: { index: number; noise: Float32Array; clean: Float32Array }[] = [];
  return async (call) => {
    const plan = calls[call.index] as CallPlan;
    if (plan.kind === 'retrieve') return (await call.retrieve(plan.branch)).guided;
    if (plan.kind === 'full') {
      const { guided } = await call.full();
      full.push({ index: call.index, noise: call.toNoise(guided), clean: call.toClean(guided) });
      return guided;
    }
    if (plan.kind !== 'forecast')
      throw invalidArgument('policy', `lays out a call that is neither of those: ${plan.kind}`);
    const [last, before, first] = [full.at(-1), full.at(-2), full.at(-3)];
    if (!last) throw invalidArgument('policy', 'forecasts before the first full call');
    const { damping = 1, clean = 0, noise = 0 } = plan;
    const curve = before && first ? (plan.curve ?? 0) : 0;
    const line = damping * lineFactor(levels, call.index, last.index, before?.index);
    const gamma = before ? (plan.gamma ?? line) : 0;
    const added = [
      ...(clean === 0 ? [] : [[clean, last.clean] as const]),
      ...(curve === 0 || !first ? [] : [[curve, first.noise] as const]),
    ];
    return call.fromNoise(
      mix(
        [1 + gamma + curve + noise, last.noise],
        [-gamma - 2 * curve, before?.noise ?? last.noise],
        ...added,
      ),
    );
  };
}

/** The branches that settings retrieve at. */
const branchesOf = ({ branch }: { branch: number }) => [branch];

/** DeepCache, every so many calls a full one. */
export const DEEPCACHE_UNIFORM: PolicyFamily<{ interval: number; branch: number }> = {
  name: 'deepcache',
  reference: DEEPCACHE,
  defaults: { interval: 3, branch: 0 },
  front: [2, 3, 4, 5, 8].map((interval) => ({ interval })),
  branches: branchesOf,
  begin: (settings, run) => laidOut(new SettingsPolicy(settings), run),
};

/** The paper's non-uniform schedule. */
export const DEEPCACHE_NONUNIFORM: PolicyFamily<{ interval: number; branch: number; power: number }> = {
  name: 'deepcache-nonuniform',
  reference: DEEPCACHE,
  defaults: { interval: 3, branch: 0, power: 1.4 },
  front: [2, 3, 4, 5, 8].map((interval) => ({ interval })),
  branches: branchesOf,
  begin: (settings, run) => laidOut(new SettingsPolicy({ ...settings, schedule: 'nonuniform' }), run),
};

/** Costs over which fronts are drawn: what equal costs are compared at. */
const COSTS = [2 / 3, 1 / 2, 2 / 5, 1 / 3, 1 / 4, 1 / 5].map((cost) => ({ cost: Number(cost.toFixed(3)) }));

/** Evenly spread, as many full calls as a cost has room for where the others cost `share` each. */
function evenList(cost: number, share: number, calls: number): number[] {
  const count = Math.max(1, Math.floor((calls * (cost - share)) / (1 - share) + 1e-9));
  return Array.from({ length: count }, (_, i) => Math.floor((i * calls) / count));
}

/** DeepCache with a list: as many full calls as the cost has room for, evenly spread. */
export const DEEPCACHE_LIST: PolicyFamily<{ cost: number; branch: number }> = {
  name: 'deepcache-list',
  reference: DEEPCACHE,
  defaults: { cost: 0.5, branch: 0 },
  front: COSTS,
  branches: branchesOf,
  begin({ cost, branch }, run) {
    const steps = evenList(cost, run.shares[branch] ?? 1, run.calls);
    return laidOut(new SettingsPolicy({ steps, branch }), run);
  },
};

/** As many full calls as the cost has room for, evenly spread; the noise of the others is forecast from the last two. */
export const FORECAST: PolicyFamily<{ cost: number; damping: number }> = {
  name: 'forecast',
  reference: 'the option cache.plan, predicted calls evenly spread',
  defaults: { cost: 0.5, damping: 0.5 },
  front: COSTS,
  begin({ cost, damping }, run) {
    const full = new Set(evenList(cost, 0, run.calls));
    const plan = run.timesteps.map((_, i) => (full.has(i) ? 'F' : 'P')).join('');
    return laidOut(new SettingsPolicy({ plan, damping }), run);
  },
};

/** Settings of the option `cache`, or a preset: the pipeline's own runs. */
export function policyOfCache(cache: CacheOptions, name: string): LabPolicy {
  return {
    family: 'cache',
    name,
    reference: 'the option cache',
    branches: [],
    steps: (steps) => steps,
    means: { cache: () => cache },
  };
}
