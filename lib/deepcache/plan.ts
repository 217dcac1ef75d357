import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import type { GateSettings } from './gate.js';
import type { CallPlan, RetrieveCall } from './policy.js';

/** What every call does, one letter each. */
export interface PlannedCache extends GateSettings {
  /**
   * A letter for each U-Net call: F computes it in full, R retrieves (DeepCache), P predicts its output from those of the
   * last two full calls and computes nothing. The first is F. 'FPPFRPF' is a run of seven calls.
   */
  plan: string;
  /** How deep the calls R go: 0, the default, runs the least. */
  branch?: number;
  /**
   * How far predicted calls carry on the change between the last two full ones, one factor for each P. By default a
   * straight line over the logarithm of the signal-to-noise ratio.
   */
  gamma?: readonly number[];
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

/** Beyond this a forecast says nothing. */
const LARGEST_GAMMA = 100;

/** Checks a plan for a run of `calls` U-Net calls; throws ERR_DEEPCACHE_INVALID_ARGUMENT naming the field. */
export function requirePlan({ plan, gamma, damping }: PlannedCache, calls: number): void {
  if (typeof plan !== 'string' || !/^F[FRP]*$/.test(plan)) {
    const meaning =
      'a letter for each U-Net call, F (in full), R (retrieved) or P (predicted), and begin with F';
    throw invalidArgument('cache.plan', `must be ${meaning}, got ${show(plan)}`);
  }
  if (plan.length !== calls) {
    throw invalidArgument('cache.plan', `has ${plan.length} letters, but the run has ${calls} U-Net calls`);
  }
  const predicted = [...plan].filter((letter) => letter === 'P').length;
  if (gamma !== undefined) requireGamma(gamma, predicted);
  requireShare(damping, 'cache.damping');
  if (damping !== undefined && gamma !== undefined)
    throw invalidArgument('cache.damping', 'and gamma exclude each other');
}

/** Throws for what is given and not a number from 0 to 1. */
export function requireShare(value: unknown, name: string): void {
  if (value === undefined || (typeof value === 'number' && value >= 0 && value <= 1)) return;
  throw invalidArgument(name, `must be a number from 0 to 1, got ${show(value)}`);
}

/** What the calls of a checked plan do. */
export function plannedCalls(
  { plan, gamma, damping, featureDamping }: PlannedCache,
  branch: number,
): CallPlan[] {
  const retrieve = retrieveCall(branch, featureDamping);
  let predicted = 0;
  return [...plan].map((letter): CallPlan => {
    if (letter === 'F') return { kind: 'full' };
    if (letter === 'R') return retrieve;
    const factor = gamma?.[predicted++];
    return {
      kind: 'forecast',
      ...(factor !== undefined && { gamma: factor }),
      ...(damping !== undefined && { damping }),
    };
  });
}

export function retrieveCall(branch: number, featureDamping: number | undefined): RetrieveCall {
  return { kind: 'retrieve', branch, ...(featureDamping && { damping: featureDamping }) };
}

function requireGamma(gamma: unknown, predicted: number): void {
  if (!Array.isArray(gamma) || gamma.length !== predicted) {
    const what = Array.isArray(gamma) ? `${gamma.length} numbers` : show(gamma);
    throw invalidArgument(
      'cache.gamma',
      `must be a list of ${predicted} numbers, one for each P, got ${what}`,
    );
  }
  const bad = gamma.findIndex((value) => !(typeof value === 'number' && Math.abs(value) <= LARGEST_GAMMA));
  if (bad >= 0) {
    throw invalidArgument(
      `cache.gamma[${bad}]`,
      `must be a number from -${LARGEST_GAMMA} to ${LARGEST_GAMMA}, got ${show(gamma[bad])}`,
    );
  }
}
