import { checkFreeU, type FreeU, MOST_FACTOR } from '../../guidance/free-u.js';
import {
  checkGuiderOptions,
  GUIDER_FIELDS,
  GUIDER_NAMES,
  type GuiderOptions,
} from '../../guidance/guiders.js';
import { checkLayers } from '../../guidance/perturbed.js';
import { GUIDED, PROMPTED } from '../families.js';
import * as json from '../json.js';
import * as kinds from '../kinds.js';
import { option } from '../option.js';

const { useOriginalFormulation, ...numbers } = GUIDER_FIELDS;
const guiderForm = json.object({
  useOriginalFormulation: json.flag,
  ...Object.fromEntries(Object.entries(numbers).map(([name, [min, max]]) => [name, json.real(min, max)])),
});
const factor = json.real(0, MOST_FACTOR);
const freeUForm = json.object({ b1: factor, b2: factor, s1: factor, s2: factor }, ['b1', 'b2', 's1', 's2']);
/** Regular expressions of others could keep the process busy: their signs are left out. */
const layersForm = json.oneOrList({ type: 'string', pattern: '^[\\w.]+$', maxLength: 200 });

/** Guidance that changes during a run, and what changes the U-Net itself. */
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
  /**
   * How the outputs with and without the prompt are combined: 'cfg' (default), or as one of diffusers' guiders does it:
   * 'apg', 'apg-mix', 'cfg-zero-star', 'tcfg', 'mambo-g'.
   */
  guider: option({
    kind: kinds.choice(GUIDER_NAMES),
    families: [...GUIDED, 'animatediff'],
    help: 'how the outputs with and without the prompt are combined',
    fallback: "'cfg'",
    flag: {
      spelling: '--guider <name>',
      group: 'how',
      help: `how the outputs with and without the prompt are combined: ${GUIDER_NAMES.join(', ')}`,
    },
  }),
  /** What the guider takes besides, in diffusers' names. */
  guiderOptions: option({
    kind: kinds.own<GuiderOptions>('object', 'settings', checkGuiderOptions, guiderForm),
    families: [...GUIDED, 'animatediff'],
    help: "the guider's own: eta, alpha, zeroInitSteps, start, stop ...",
    flag: { spelling: '--guider-options <name=x,...>', group: 'how' },
  }),
  /** Perturbed-attention guidance: how far away from a picture whose self attention is switched off. Default 0: not at all. */
  pagScale: option({
    kind: kinds.real(0, 1000),
    families: GUIDED,
    help: 'perturbed-attention guidance: its scale; 0 is off',
    fallback: '0',
    flag: { spelling: '--pag-scale <x>', group: 'how' },
  }),
  /** How much smaller that is for each timestep below 1000. Default 0. */
  pagAdaptiveScale: option({
    kind: kinds.real(0, 1000),
    families: GUIDED,
    help: 'how much smaller its scale is for each timestep below 1000',
    fallback: '0',
    needs: { name: 'pagScale', why: 'which it makes smaller' },
    flag: { spelling: '--pag-adaptive-scale <x>', group: 'how' },
  }),
  /**
   * Where self attention is switched off for it: parts of modules' names, or regular expressions. Default 'mid'.
   */
  pagAppliedLayers: option({
    kind: kinds.own<string | readonly string[]>('text, or a list', 'texts', checkLayers, layersForm),
    families: GUIDED,
    help: "parts of the names of modules whose self attention it perturbs: 'mid', 'down_blocks.2', 'up_blocks.1.attentions.0'",
    fallback: "'mid'",
    needs: { name: 'pagScale', why: 'of which it says where' },
    flag: {
      spelling: '--pag-applied-layers <name>',
      group: 'how',
      help: 'where it perturbs self attention, parts of names of modules; repeat it for several (default: mid)',
    },
  }),
  /**
   * Self-attention guidance: how far away from what the U-Net makes, without the prompt, of latents that are blurred where
   * it looks most. Default 0: not at all.
   */
  sagScale: option({
    kind: kinds.real(0, 1000),
    families: GUIDED,
    help: 'self-attention guidance: its scale; 0 is off',
    fallback: '0',
    flag: { spelling: '--sag-scale <x>', group: 'how' },
  }),
  /** FreeU for this run, or false: none, whatever the pipeline's `enableFreeU` says. */
  freeU: option({
    kind: kinds.own<FreeU | false>(
      '{ b1, b2, s1, s2 } or false',
      'settings',
      (name, value) => {
        if (value !== false) checkFreeU(name, value);
      },
      { anyOf: [json.off, freeUForm] },
    ),
    families: PROMPTED,
    help: 'FreeU: b1 and b2 strengthen the backbone, s1 and s2 weaken the low frequencies of skips',
    flag: { spelling: '--free-u <b1=x,b2=x,s1=x,s2=x>', group: 'how' },
  }),
};
