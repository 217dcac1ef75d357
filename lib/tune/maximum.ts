/** The one of a list with the largest value, the first of several; undefined of none. */
export function maximum<T>(list: readonly T[], value: (one: T) => number): T | undefined {
  return list.reduce<T | undefined>(
    (best, one) => (best !== undefined && value(best) >= value(one) ? best : one),
    undefined,
  );
}
