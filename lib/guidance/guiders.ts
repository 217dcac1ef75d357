import { DeepCacheError, invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { checkNames } from '../names.js';
import type { CompiledRow } from '../schedulers/compiled.js';
import { freeSlots } from '../schedulers/free-slots.js';
import type { GuidanceRule, HistorySlot, Term } from '../schedulers/table.js';

/** What guiders take, in diffusers' names. Each takes `useOriginalFormulation`, `start` and `stop`. */
export interface GuiderOptions {
  /** The sum begins at the prompt's output: a scale of 0 turns guidance off then. Default false. */
  readonly useOriginalFormulation?: boolean;
  /** The share of the calls before the first guided one, 0 to 1. Default 0. */
  readonly start?: number;
  /** The share of the calls behind which none is guided. Default 1. */
  readonly stop?: number;
  /** cfg-zero-star: the first calls whose output counts nothing. Default 1. */
  readonly zeroInitSteps?: number;
  /** apg, apg-mix: of the running average of differences. Default none; apg-mix -0.5. */
  readonly adaptiveProjectedGuidanceMomentum?: number;
  /** apg, apg-mix: the largest length of the difference; 0: any. Default 15; apg-mix 10. */
  readonly adaptiveProjectedGuidanceRescale?: number;
  /** apg, apg-mix: what stays of its part along the prompt's output. Default 1; apg-mix 0. */
  readonly eta?: number;
  /** apg-mix: the scale behind the first calls. Default 10. */
  readonly adaptiveProjectedGuidanceScale?: number;
  /** apg-mix: the last call, from 0, with ordinary guidance. Default 5. */
  readonly adaptiveProjectedGuidanceStartStep?: number;
  /** mambo-g: how fast the scale fades. Default 8. */
  readonly alpha?: number;
}

type Field = keyof GuiderOptions;
type Numbers = Required<{ readonly [Name in Exclude<Field, 'useOriginalFormulation'>]: number }>;

/** How a guider combines the outputs of a call: the rule without what all guiders have. */
type Rule = (settings: Numbers & { readonly scale: number; readonly call: number }) => {
  readonly scale?: number;
  readonly rule: Omit<GuidanceRule, 'fromConditional' | 'average'>;
};

interface Guider {
  /** diffusers' name. */
  readonly className: string;
  readonly defaults: Partial<Numbers>;
  readonly rule?: Rule;
}

const projected = (settings: Numbers): Omit<GuidanceRule, 'fromConditional' | 'average'> => ({
  kind: 'projected',
  eta: settings.eta,
  limit: settings.adaptiveProjectedGuidanceRescale,
  ...momentumOf(settings),
});
/** No momentum is another thing than one of 0, which would forget. */
const momentumOf = ({ adaptiveProjectedGuidanceMomentum: momentum }: Numbers) =>
  momentum === undefined ? {} : { momentum };

export const GUIDERS = {
  cfg: { className: 'ClassifierFreeGuidance', defaults: {} },
  'cfg-zero-star': {
    className: 'ClassifierFreeZeroStarGuidance',
    defaults: { zeroInitSteps: 1 },
    rule: ({ call, zeroInitSteps }) => ({ rule: { kind: call < zeroInitSteps ? 'zero' : 'zeroStar' } }),
  },
  apg: {
    className: 'AdaptiveProjectedGuidance',
    defaults: { adaptiveProjectedGuidanceRescale: 15, eta: 1 },
    rule: (settings) => ({ rule: projected(settings) }),
  },
  'apg-mix': {
    className: 'AdaptiveProjectedMixGuidance',
    defaults: {
      adaptiveProjectedGuidanceMomentum: -0.5,
      adaptiveProjectedGuidanceRescale: 10,
      eta: 0,
      adaptiveProjectedGuidanceScale: 10,
      adaptiveProjectedGuidanceStartStep: 5,
    },
    rule: (settings) =>
      settings.call > settings.adaptiveProjectedGuidanceStartStep
        ? { scale: settings.adaptiveProjectedGuidanceScale, rule: projected(settings) }
        : { rule: { kind: 'averaging', ...momentumOf(settings) } },
  },
  tcfg: {
    className: 'TangentialClassifierFreeGuidance',
    defaults: {},
    rule: () => ({ rule: { kind: 'tangential' } }),
  },
  'mambo-g': {
    className: 'MagnitudeAwareGuidance',
    defaults: { alpha: 8 },
    rule: ({ alpha }) => ({ rule: { kind: 'magnitude', alpha } }),
  },
} as const satisfies Readonly<Record<string, Guider>>;

/** A way to combine the outputs for both prompts. */
export type GuiderName = keyof typeof GUIDERS;

export const GUIDER_NAMES = Object.keys(GUIDERS) as GuiderName[];

const COMMON = ['useOriginalFormulation', 'start', 'stop'] as const;
const OWN: { readonly [Name in GuiderName]: readonly Field[] } = {
  cfg: [],
  'cfg-zero-star': ['zeroInitSteps'],
  apg: ['adaptiveProjectedGuidanceMomentum', 'adaptiveProjectedGuidanceRescale', 'eta'],
  'apg-mix': Object.keys(GUIDERS['apg-mix'].defaults) as Field[],
  tcfg: [],
  'mambo-g': ['alpha'],
};
/** Least and most of each number. */
const LIMITS: { readonly [Name in keyof Numbers]: readonly [number, number] } = {
  start: [0, 1],
  stop: [0, 1],
  zeroInitSteps: [0, 100_000],
  adaptiveProjectedGuidanceMomentum: [-10, 10],
  adaptiveProjectedGuidanceRescale: [0, 1e6],
  eta: [-10, 10],
  adaptiveProjectedGuidanceScale: [0, 1000],
  adaptiveProjectedGuidanceStartStep: [0, 100_000],
  alpha: [0, 1000],
};

/** All fields of options with the least and the most of each number; one is a flag. */
export const GUIDER_FIELDS = { useOriginalFormulation: undefined, ...LIMITS };

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for what no guider takes. */
export function checkGuiderOptions(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgument(name, `must be an object, got ${show(value)}`);
  }
  checkNames(value, [...COMMON, ...new Set(Object.values(OWN).flat())], `${name}.`);
  for (const [field, own] of Object.entries(value)) {
    if (own === undefined) continue;
    if (field === 'useOriginalFormulation') {
      if (typeof own === 'boolean') continue;
      throw invalidArgument(`${name}.${field}`, `must be true or false, got ${show(own)}`);
    }
    const [least, most] = LIMITS[field as keyof Numbers];
    if (typeof own === 'number' && own >= least && own <= most) continue;
    throw invalidArgument(`${name}.${field}`, `must be a number from ${least} to ${most}, got ${show(own)}`);
  }
}

/** What a call does: nothing but the prompt's output where there is none. */
export interface GuidedCall {
  readonly scale: number;
  readonly rule?: GuidanceRule;
}

/**
 * How a guider combines the outputs of a call.
 *
 * @param call from 0, of so many.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for options of another guider.
 */
export function guide(
  name: GuiderName,
  options: GuiderOptions,
  scale: number,
  call: number,
  calls: number,
): GuidedCall | undefined {
  const guider: Guider = GUIDERS[name];
  for (const field of Object.keys(options) as Field[]) {
    if (options[field] === undefined || [...COMMON, ...OWN[name]].includes(field)) continue;
    throw invalidArgument(`guiderOptions.${field}`, `is not for the guider ${name}`);
  }
  const { useOriginalFormulation: original = false, ...given } = options;
  const { start = 0, stop = 1 } = given;
  if (call < Math.trunc(start * calls) || call >= Math.trunc(stop * calls)) return undefined;
  if (scale === (original ? 0 : 1)) return undefined;
  const settings = { ...guider.defaults, ...given, scale, call } as Parameters<Rule>[0];
  const made = guider.rule?.(settings);
  // The plain sum from the prompt's output on is one from the other output, with a scale that is one more.
  if (!made) return { scale: original ? scale + 1 : scale };
  return { scale: made.scale ?? scale, rule: { ...made.rule, ...(original && { fromConditional: true }) } };
}

/**
 * A slot for the average of rules with momentum, which no row of the sampler names.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_UNSUPPORTED for a sampler that leaves none.
 */
export function freeSlot(
  rows: readonly Pick<CompiledRow, 'assign' | 'after'>[],
  others: readonly Term[],
): HistorySlot {
  const [free] = freeSlots(rows, others);
  if (free) return free;
  throw new DeepCacheError(
    'ERR_DEEPCACHE_UNSUPPORTED',
    'guiderOptions.adaptiveProjectedGuidanceMomentum: this sampler needs all memory of a step',
  );
}
