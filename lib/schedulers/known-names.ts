import { UI_NAMES } from './aliases.js';

/** diffusers' names of its classes, and ours for two original programs', without 'Scheduler' behind them. */
const CLASSES = [
  'CosineDPMSolverMultistep',
  'DDIM',
  'DDIMInverse',
  'DDPM',
  'DEISMultistep',
  'DPMSolverMultistep',
  'DPMSolverMultistepInverse',
  'DPMSolverSDE',
  'DPMSolverSinglestep',
  'EDMDPMSolverMultistep',
  'EDMEuler',
  'EulerAncestralDiscrete',
  'EulerDiscrete',
  'FlowMatchEulerDiscrete',
  'HeunDiscrete',
  'IPNDM',
  'KDPM2AncestralDiscrete',
  'KDPM2Discrete',
  'LCM',
  'LMSDiscrete',
  'PNDM',
  'RePaint',
  'SASolver',
  'TCD',
  'UniPCMultistep',
  'LatentDDIM',
  'OriginalDDIM',
] as const;

/** The same without 'Discrete' and 'Multistep'. */
const SHORT = [
  'CosineDPMSolver',
  'DEIS',
  'DPMSolver',
  'EDMDPMSolver',
  'EulerAncestral',
  'Euler',
  'FlowMatchEuler',
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
