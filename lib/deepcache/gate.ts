import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import type { AttentionUse, Halves, Program } from '../schedulers/table.js';
import type { CallPlan, PolicyRun } from './policy.js';

/**
 * T-GATE (Zhang et al. 2024) beside a cache, in the names of its program: what attention adds is kept and taken again.
 * Steps are U-Net calls, counted from 0; PNDM's second first call is step 0, too.
 */
export interface GateSettings {
  /**
   * From this step on cross attention adds what it added in the step before, on average over both prompts: the calls
   * compute one output, without guidance and without reading the prompt.
   */
  gateStep?: number;
  /** Before the gate: every so many steps, from `warmUp` on, self attention is computed, and taken between. Default 1: always. */
  spInterval?: number;
  /** The same from the gate on. Default 1. */
  fiInterval?: number;
  /** The first step whose self attention is kept. Default 0. */
  warmUp?: number;
}

export const GATE_KEYS = ['gateStep', 'spInterval', 'fiInterval', 'warmUp'] as const;

/** Checks the settings; throws ERR_DEEPCACHE_INVALID_ARGUMENT naming the field. */
export function requireGate(settings: GateSettings): void {
  for (const key of GATE_KEYS) {
    const value = settings[key];
    if (value === undefined) continue;
    const least = key === 'warmUp' ? 0 : 1;
    if (!Number.isInteger(value) || value < least) {
      throw invalidArgument(
        `cache.${key}`,
        `must be a whole number of at least ${least}, got ${show(value)}`,
      );
    }
    if (settings.gateStep === undefined) throw invalidArgument(`cache.${key}`, 'needs a gateStep');
  }
}

/** A gate in a run. */
export interface Gate {
  /** The first call behind it. */
  readonly call: number;
  /** What attention does in each call, and of which outputs. */
  readonly uses: readonly Uses[];
}

interface Uses {
  readonly cross?: AttentionUse | undefined;
  readonly self?: AttentionUse | undefined;
  readonly halves?: Halves;
}

/** The gate of checked settings; undefined: none. */
export function gateOf(settings: GateSettings | null, { timesteps, stepCalls }: PolicyRun): Gate | undefined {
  const { gateStep, spInterval = 1, fiInterval = 1, warmUp = 0 } = settings ?? {};
  if (gateStep === undefined) return undefined;
  const calls = timesteps.length;
  // Calls before step 0; a sampler with a call less in its last step begins at step 1.
  const before = calls - (stepCalls ?? calls);
  const call = gateStep + before;
  if (call < 1) throw invalidArgument('cache.gateStep', `must be at least ${1 - before} with this sampler`);
  const selfBefore = (step: number): AttentionUse | undefined => {
    if (step < warmUp) return undefined;
    return step === warmUp || step % spInterval === 0 ? 'keep' : 'kept';
  };
  const uses = timesteps.map((_, i): Uses => {
    const step = i - before;
    if (step < gateStep - 1) return { self: selfBefore(step) };
    if (step === gateStep - 1) return { cross: 'mean', self: 'mean' };
    return { cross: 'kept', self: step % fiInterval === 0 ? 'keep' : 'kept', halves: 'unconditional' };
  });
  return { call, uses };
}

/** The same calls with what attention does in them. The two around the gate are full ones. */
export function withGate(calls: readonly CallPlan[], { call: first, uses }: Gate): CallPlan[] {
  for (const i of [first - 1, first]) {
    const kind = calls[i]?.kind ?? 'full';
    if (kind === 'full') continue;
    throw invalidArgument('cache.plan', `must have F for call ${i}, next to the gate`);
  }
  const kinds = calls.map(({ kind }) => kind);
  const cross = kept(
    uses.map((use) => use.cross),
    kinds,
  );
  const self = kept(
    uses.map((use) => use.self),
    kinds,
  );
  return calls.map((call, i): CallPlan => {
    if (call.kind !== 'full' && call.kind !== 'retrieve') return call;
    const own = { cross: cross[i], self: self[i], halves: uses[i]?.halves };
    return { ...call, ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)) };
  });
}

/**
 * Of what calls would do only what is possible and of use: what no full call has kept before is computed, and kept;
 * what nobody takes is not kept.
 */
function kept(
  uses: readonly (AttentionUse | undefined)[],
  kinds: readonly CallPlan['kind'][],
): (AttentionUse | undefined)[] {
  let isKept = false;
  const out = uses.map((use, i) => {
    if (kinds[i] !== 'full' && kinds[i] !== 'retrieve') return undefined;
    const own = use === 'kept' && !isKept ? 'keep' : use;
    // A retrieve step keeps what it computes, not what lies behind its branch.
    if (own !== undefined && kinds[i] === 'full') isKept = true;
    return own;
  });
  let isTaken = false;
  for (let i = out.length - 1; i >= 0; i--) {
    if (out[i] === 'kept') isTaken = true;
    else if (out[i] !== undefined && !isTaken) out[i] = undefined;
    else if (out[i] !== undefined && kinds[i] === 'full') isTaken = false;
  }
  return out;
}

/** What a full call with both outputs keeps where one of these programs keeps it: for what a run needs. */
export function keptBy(programs: readonly Program[]): { cross?: 'keep'; self?: 'keep' } {
  return {
    ...(programs.some(({ cross }) => cross) && { cross: 'keep' }),
    ...(programs.some(({ self }) => self) && { self: 'keep' }),
  };
}

/** Whether calls keep or take what attention adds. */
export function hasGate(calls: readonly CallPlan[]): boolean {
  return calls.some((call) => 'cross' in call || 'self' in call);
}
