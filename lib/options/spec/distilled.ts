import { DISTILLATIONS } from '../../distilled/recipes.js';
import { PROMPTED } from '../families.js';
import * as kinds from '../kinds.js';
import { option } from '../option.js';

/** Models that need few steps. */
export const DISTILLED_OPTIONS = {
  /**
   * How the model, or an adapter that is loaded, was distilled: `scheduler`, `steps`, `guidanceScale`, `eta` and
   * `timesteps` are those that its authors recommend, where options do not say otherwise (docs/few-step.md).
   */
  distilled: option({
    kind: kinds.choice(DISTILLATIONS),
    families: PROMPTED,
    help: 'how the model or an adapter was distilled, for the sampler, steps and guidance that it needs',
    flag: { spelling: '--distilled <how>', group: 'how' },
  }),
};
