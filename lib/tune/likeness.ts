// What pictures' decibels say about a schedule. A few pictures are much more sensitive than the others, above all at high guidance,
// and which ones depends on the prompts: what is good for the mean alone tips some of them over into other pictures.

/** The pictures that are least like their uncached ones: this share of all. */
const LOWEST = 1 / 4;
/** Decibels that a single picture can speak for or against a schedule. */
const MAX_GAIN = 2;
/** Pictures that are so like are as good as equal. */
const ALIKE = 40;
/** Decibels of a picture that say nothing. */
const LITTLE = 1;

export const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

const lowest = (decibels: readonly number[]) =>
  mean([...decibels].sort((a, b) => a - b).slice(0, Math.ceil(LOWEST * decibels.length)));

/** What schedules are chosen by: half the mean of all pictures, half that of the quarter that is least like. */
export const merit = (decibels: readonly number[]): number => (mean(decibels) + lowest(decibels)) / 2;

/**
 * By how many decibels a schedule is better than another one: half as the typical picture has it, of which each counts up to a
 * bound, as now and then one tips over into another picture, which says little about others; half as the least like ones do.
 */
export function gainOf(decibels: readonly number[], others: readonly number[]): number {
  const typical = mean(decibels.map((value, i) => bounded(value - (others[i] as number))));
  return (typical + bounded(lowest(decibels) - lowest(others))) / 2;
}

const bounded = (gain: number) => Math.max(-MAX_GAIN, Math.min(MAX_GAIN, gain));

/**
 * Whether a schedule tips a picture over that the even one does not: a picture less like than the even one's worst, and than the even
 * one has it, as far as it can be seen. Where the schedule may be that much less like in the mean, as with a budget in decibels, so may its worst picture.
 */
export function tipsOver(decibels: readonly number[], even: readonly number[]): boolean {
  const allowed = Math.max(0, mean(even) - mean(decibels));
  const least = Math.min(ALIKE, ...even) - allowed;
  return decibels.some((value, i) => value < least && value < (even[i] as number) - allowed - LITTLE);
}
