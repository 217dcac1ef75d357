import { UI_NAMES } from './aliases.js';

/** diffusers' names of its classes, and ours for two original programs', without 'Scheduler' behind them. */
const CLASSES = [
  ...(['DDIM', 'DDPM', 'DPMSolverMultistep', 'EulerAncestralDiscrete', 'EulerDiscrete'] as const),
  ...([
    'HeunDiscrete',
    'KDPM2AncestralDiscrete',
    'KDPM2Discrete',
    'LCM',
    'LMSDiscrete',
    'PNDM',
    'TCD',
    'UniPCMultistep',
  ] as const),
  ...(['LatentDDIM', 'OriginalDDIM'] as const),
] as const;

/** The same without 'Discrete' and 'Multistep'. */
const SHORT = [
  'DPMSolver',
  'EulerAncestral',
  'Euler',
  'Heun',
  'KDPM2',
  'KDPM2Ancestral',
  'LMS',
  'UniPC',
] as const;

type ClassName = (typeof CLASSES)[number];

/**
 * A name of a sampler: diffusers' class with or without 'Scheduler', 'Discrete' and 'Multistep' behind it, or what user
 * interfaces call it. More spellings are known where the program runs (case does not matter, 'dpmpp_2m_karras'):
 * `{ _class_name: text }` takes any text, such as one from a user's file, and an unknown one is an error with the
 * nearest names.
 */
export type SchedulerName =
  | ClassName
  | `${ClassName}Scheduler`
  | (typeof SHORT)[number]
  | (typeof UI_NAMES)[number];

/** All of them, for tests. */
export const KNOWN_NAMES: readonly SchedulerName[] = [
  ...CLASSES,
  ...CLASSES.map((name) => `${name}Scheduler` as const),
  ...SHORT,
  ...UI_NAMES,
];
