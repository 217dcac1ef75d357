import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import type { GateSettings } from './gate.js';
import type { CallPlan, RetrieveCall } from './policy.js';

/** What every call does, one letter each. */
export interface PlannedCache extends GateSettings {
  /**
   * A letter for each U-Net call: F computes it in full, R retrieves (DeepCache), P predicts its output from those of the
   * last two or three full calls and computes nothing. The first is F. 'FPPFRPF' is a run of seven calls.
   */
  plan: string;
  /** How deep the calls R go: 0, the default, runs the least. */
  branch?: number;
  /**
   * How far predicted calls carry on the change between the last two full ones, one factor for each P. By default a
   * straight line over the logarithm of the signal-to-noise ratio.
   */
  gamma?: readonly number[];
  /**
   * How much of the change of that change predicted calls add, one factor for each P: the noise of the last three full calls, once
   * the last, less twice the one before, and once the first of them. Default 0, which it also is with fewer full calls before.
   */
  curve?: readonly number[];
  /**
   * How much of what the last full call took for the clean latents predicted calls add to the noise, one factor for each P.
   * Default 0. Factors that suit a model, its sampler and guidance are what `tune` finds.
   */
  clean?: readonly number[];
  /** The same of the noise that the last full call found. Default 0. */
  noise?: readonly number[];
  /** 0 to 1: the straight line's factors are multiplied by it. 0 holds the last full call's noise. Default 1. */
  damping?: number;
  /** 0 to 1: calls R carry on so much of the change of their feature between the last two full calls. Default 0: none. */
  featureDamping?: number;
  interval?: never;
  schedule?: never;
  center?: never;
  power?: never;
  steps?: never;
  counter?: never;
}

/** The lists of factors that predicted calls may have. */
export const FACTORS = ['gamma', 'curve', 'clean', 'noise'] as const;

/** Beyond this a forecast says nothing. */
const LARGEST_FACTOR = 100;

/** Checks a plan for a run of `calls` U-Net calls; throws ERR_DEEPCACHE_INVALID_ARGUMENT naming the field. */
export function requirePlan({ plan, damping, ...lists }: PlannedCache, calls: number): void {
  if (typeof plan !== 'string' || !/^F[FRP]*$/.test(plan)) {
    const meaning =
      'a letter for each U-Net call, F (in full), R (retrieved) or P (predicted), and begin with F';
    throw invalidArgument('cache.plan', `must be ${meaning}, got ${show(plan)}`);
  }
  if (plan.length !== calls) {
    throw invalidArgument('cache.plan', `has ${plan.length} letters, but the run has ${calls} U-Net calls`);
  }
  const predicted = [...plan].filter((letter) => letter === 'P').length;
  for (const name of FACTORS) {
    const factors = lists[name];
    if (factors !== undefined) requireFactors(`cache.${name}`, factors, predicted);
  }
  requireShare(damping, 'cache.damping');
  if (damping !== undefined && lists.gamma !== undefined)
    throw invalidArgument('cache.damping', 'and gamma exclude each other');
}

/** Throws for what is given and not a number from 0 to 1. */
export function requireShare(value: unknown, name: string): void {
  if (value === undefined || (typeof value === 'number' && value >= 0 && value <= 1)) return;
  throw invalidArgument(name, `must be a number from 0 to 1, got ${show(value)}`);
}

/** What the calls of a checked plan do. */
export function plannedCalls(
  { plan, damping, featureDamping, ...lists }: PlannedCache,
  branch: number,
): CallPlan[] {
  const retrieve = retrieveCall(branch, featureDamping);
  let predicted = 0;
  return [...plan].map((letter): CallPlan => {
    if (letter === 'F') return { kind: 'full' };
    if (letter === 'R') return retrieve;
    const factors = FACTORS.flatMap((name) => {
      const value = lists[name]?.[predicted];
      return value === undefined ? [] : [[name, value] as const];
    });
    predicted++;
    return {
      kind: 'forecast',
      ...Object.fromEntries(factors),
      ...(damping !== undefined && { damping }),
    };
  });
}

export function retrieveCall(branch: number, featureDamping: number | undefined): RetrieveCall {
  return { kind: 'retrieve', branch, ...(featureDamping && { damping: featureDamping }) };
}

function requireFactors(name: string, factors: unknown, predicted: number): void {
  if (!Array.isArray(factors) || factors.length !== predicted) {
    const what = Array.isArray(factors) ? `${factors.length} numbers` : show(factors);
    throw invalidArgument(name, `must be a list of ${predicted} numbers, one for each P, got ${what}`);
  }
  const bad = factors.findIndex((value) => !(typeof value === 'number' && Math.abs(value) <= LARGEST_FACTOR));
  if (bad >= 0) {
    throw invalidArgument(
      `${name}[${bad}]`,
      `must be a number from -${LARGEST_FACTOR} to ${LARGEST_FACTOR}, got ${show(factors[bad])}`,
    );
  }
}
