import { invalidArgument } from '../../errors.js';
import type { OwnSteps } from '../../options/kinds.js';
import { ALIGN_YOUR_STEPS } from '../../schedulers/align-your-steps.js';

/** Steps of a user's own, as options have them. */
interface Given {
  steps?: number | undefined;
  timesteps?: OwnSteps | undefined;
  sigmas?: OwnSteps | undefined;
}

/** The same as lists, which are undefined where none was given. */
interface Lists {
  timesteps: readonly number[] | undefined;
  sigmas: readonly number[] | undefined;
}

/** The lists that 'AYS' stands for, for a kind of model. */
export function ownSteps(model: keyof typeof ALIGN_YOUR_STEPS, { steps, timesteps, sigmas }: Given): Lists {
  const optimised: { timesteps?: readonly number[]; sigmas: readonly number[] } = ALIGN_YOUR_STEPS[model];
  const list = (name: 'timesteps' | 'sigmas', value: OwnSteps | undefined) => {
    if (value !== 'AYS') return value;
    const named = optimised[name];
    if (!named) throw invalidArgument(name, "cannot be 'AYS' for this model");
    if (steps !== undefined && steps !== named.length) {
      throw invalidArgument('steps', `must be ${named.length} or left out with ${name} 'AYS', got ${steps}`);
    }
    return named;
  };
  return { timesteps: list('timesteps', timesteps), sigmas: list('sigmas', sigmas) };
}
