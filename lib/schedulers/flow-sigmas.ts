import { invalidArgument } from '../errors.js';
import { linspace } from '../math/numpy.js';
import { optionInRange } from './compiled.js';
import type { ConfigReader, SchedulerConfig } from './config.js';

/** Fields of the solvers that can walk along a flow, x = (1 - sigma) * x0 + sigma * noise (Lipman et al. 2023). */
export const FLOW_DEFAULTS = { use_flow_sigmas: false, flow_shift: 1 } satisfies SchedulerConfig;

/** Fields of those whose shift may come from the size of the picture, as the option mu. */
export const SHIFTING_DEFAULTS = {
  use_dynamic_shifting: false,
  time_shift_type: 'exponential',
} satisfies SchedulerConfig;

/** How mu means a shift: as its logarithm, or as it is. */
export const TIME_SHIFTS = ['exponential', 'linear'] as const;

/** Largest mu: exp() of it is finite and far beyond any schedule. */
const MAX_MU = 100;

/**
 * Moves a flow's noise level towards the noise (Esser et al. 2024, section 5.3.2): larger pictures need more of it to
 * hide the same detail.
 */
export function shiftFlow(sigma: number, shift: number): number {
  return (shift * sigma) / (1 + (shift - 1) * sigma);
}

/** `count` levels of a flow from high to low, as most solvers of diffusers have them; the 0 behind them is left out. */
export function flowSigmas(count: number, trainSteps: number, shift: number): number[] {
  return linspace(1, 1 / trainSteps, count + 1)
    .map((alpha) => shiftFlow(1 - alpha, shift))
    .reverse()
    .slice(0, -1);
}

/** Stretches levels so that the last one is `terminal` and the share of signal of the others keeps its proportions. */
export function stretchToTerminal(sigmas: readonly number[], terminal: number): number[] {
  const scale = (1 - (sigmas.at(-1) as number)) / (1 - terminal);
  return sigmas.map((sigma) => 1 - (1 - sigma) / scale);
}

/** The level that shift_terminal names, if any. */
export function readTerminal(fields: ConfigReader): number | null {
  if (!fields.has('shift_terminal')) return null;
  const terminal = fields.number('shift_terminal');
  if (!(terminal >= 0 && terminal < 1)) throw fields.error('shift_terminal', 'must be from 0 to below 1');
  // 0 counts as absent, as in diffusers.
  return terminal === 0 ? null : terminal;
}

/** What a sampler wants of a shift that depends on the picture. */
export interface DynamicShift {
  /** Whether a run must say mu; else the configuration's shift is taken. */
  needsMu: boolean;
  types: readonly (typeof TIME_SHIFTS)[number][];
}

/**
 * The shift of a run: that of the configuration, or with use_dynamic_shifting the one that the option mu means.
 *
 * @param fixed the field with the configuration's shift.
 * @param dynamic what is needed where the shift depends on mu: whether there must be one, and the kinds that are known.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT about mu.
 */
export function shiftOf(
  fields: ConfigReader,
  defaults: SchedulerConfig,
  { mu, fixed, dynamic }: { mu: number | undefined; fixed: string; dynamic: DynamicShift },
): number {
  const shift = fields.positive(fixed);
  if (!(Object.hasOwn(defaults, 'use_dynamic_shifting') && fields.flag('use_dynamic_shifting'))) {
    if (mu !== undefined) throw invalidArgument('mu', 'is for samplers with use_dynamic_shifting');
    return shift;
  }
  const type = fields.choice('time_shift_type', dynamic.types);
  if (mu === undefined) {
    if (dynamic.needsMu)
      throw invalidArgument('mu', 'must be given, for the sampler has use_dynamic_shifting');
    return shift;
  }
  const value = optionInRange('mu', mu, 0, type === 'linear' ? Number.MIN_VALUE : -MAX_MU, MAX_MU);
  return type === 'linear' ? value : Math.exp(value);
}
