import { type CompileOptions, optionInRange } from './compiled.js';
import type { SchedulerClass } from './scheduler-class.js';

/** Options of the samplers that can add noise before a step (Karras et al. 2022, algorithm 2). */
export const CHURN_OPTIONS: SchedulerClass['runOptions'] = ['sChurn', 'sTmin', 'sTmax', 'sNoise'];

const MAX_CHURN = Math.SQRT2 - 1;

/** Before a step: the noise level that fresh noise raises the latents to, and how much noise that is. */
export interface Churn {
  raised: number;
  added: number;
  /** Whether noise is drawn. */
  draws: boolean;
}

/** What the options of a run of `steps` steps say about the step from a noise level. */
export function readChurn(options: CompileOptions, steps: number): (sigma: number) => Churn {
  const churn = optionInRange('sChurn', options.sChurn, 0, 0);
  const sTmin = optionInRange('sTmin', options.sTmin, 0, 0);
  const sTmax = optionInRange('sTmax', options.sTmax, Infinity, 0);
  const sNoise = optionInRange('sNoise', options.sNoise, 1, 0);
  return (sigma) => {
    const gamma = sTmin <= sigma && sigma <= sTmax ? Math.min(churn / steps, MAX_CHURN) : 0;
    const raised = sigma * (1 + gamma);
    return { raised, added: sNoise * Math.sqrt(raised ** 2 - sigma ** 2), draws: gamma > 0 };
  };
}
