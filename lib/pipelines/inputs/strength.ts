import { invalidArgument } from '../../errors.js';

/** How many steps a strength runs. */
export function stepsOfStrength(strength: number, steps: number): number {
  const count = Math.min(steps, Math.trunc(steps * strength));
  if (count >= 1) return count;
  throw invalidArgument('strength', `${strength} of ${steps} steps runs none; use at least ${1 / steps}`);
}
