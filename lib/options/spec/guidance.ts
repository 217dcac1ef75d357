import { PROMPTED } from '../families.js';
import * as kinds from '../kinds.js';
import { option } from '../option.js';

/** Guidance that changes during a run. */
export const GUIDANCE_OPTIONS = {
  /** How closely to follow the picture that is changed; below 1 there is no guidance at all. 1.5 by default. */
  imageGuidanceScale: option({
    kind: kinds.real(0, 1000),
    families: ['pix2pix'],
    help: 'how closely to follow the picture that the prompt changes; 1 is off',
    fallback: '1.5',
    flag: { spelling: '--image-guidance <x>', group: 'how' },
  }),
  /** The guidance scale of each U-Net call, instead of `guidanceScale`. */
  guidanceSchedule: option({
    kind: kinds.realNumbers(0, 1000),
    families: PROMPTED,
    help: 'the guidance scale of each U-Net call',
    flag: { spelling: '--guidance-schedule <x,x,...>', group: 'how' },
  }),
  /**
   * The last call, counted from 0, that is guided: those after it compute the prompt's output alone, at half the cost
   * (diffusers' SDCFGCutoffCallback).
   */
  cutoffStepIndex: option({
    kind: kinds.whole(0, 100_000),
    families: PROMPTED,
    help: 'the last U-Net call, from 0, with guidance; those after it cost half as much',
    flag: { spelling: '--cutoff-step-index <n>', group: 'how' },
  }),
  /** The same as a share of the calls, 0 to 1. */
  cutoffStepRatio: option({
    kind: kinds.real(0, 1),
    families: PROMPTED,
    help: 'the same as a share of the calls',
    excludes: ['cutoffStepIndex'],
    flag: { spelling: '--cutoff-step-ratio <x>', group: 'how' },
  }),
};
