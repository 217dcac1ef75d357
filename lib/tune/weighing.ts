import { uniformList } from './lists.js';

/** Rounds of finding the best list and weighing the pictures by it. */
const ROUNDS = 4;

/** What a list's errors, squared and as shares, are in decibels, as the mean of the pictures has it: higher is better. */
export const toDecibels = (errors: readonly number[]) =>
  errors.reduce((sum, error) => sum - 10 * Math.log10(error), 0) / errors.length;

/** What lists are the best by: the mean of the pictures' decibels, or the mean of their errors, of which the largest are the most. */
export type Aim = 'typical' | 'worst';

/** A list's errors by what it shall be best by, in decibels: higher is better. */
export function scoreOf(errors: readonly number[], aim: Aim): number {
  if (aim === 'typical') return toDecibels(errors);
  return -10 * Math.log10(errors.reduce((sum, error) => sum + error, 0) / errors.length);
}

/**
 * The list of `count` full calls with the most decibels. Where those are means of logarithms, they do not add up over gaps;
 * but the errors do, each picture's divided by what the best list so far leaves in it.
 *
 * @param errorsOf the squared error that a list leaves in each picture.
 * @param cheapest the list with the least sum of errors times these weights of the pictures.
 */
export function mostDecibels(
  calls: number,
  count: number,
  errorsOf: (list: readonly number[]) => number[],
  cheapest: (weights: readonly number[]) => number[] | undefined,
  aim: Aim = 'typical',
): number[] | undefined {
  let best: number[] | undefined;
  let score = -Infinity;
  const even = errorsOf(uniformList(calls, count));
  if (aim === 'worst') return cheapest(even.map(() => 1));
  let weights = even.map((error) => (Number.isFinite(error) ? 1 / error : 1));
  for (let round = 0; round < ROUNDS; round++) {
    const list = cheapest(weights);
    if (!list) return best;
    const errors = errorsOf(list);
    const found = toDecibels(errors);
    if (found > score) [best, score] = [list, found];
    weights = errors.map((error) => 1 / error);
  }
  return best;
}
