/**
 * The index of the first of a list for which something holds, which holds for all behind it. `holds` gives
 * undefined to stop; the list's length when it holds for none.
 *
 * @param likely whether it seems to hold, by what is known so far: it is asked between the first and the last that may be the
 * first. Without it, by halving.
 */
export async function firstThat<T>(
  list: readonly T[],
  holds: (one: T) => Promise<boolean | undefined>,
  likely?: (one: T) => boolean | undefined,
): Promise<number> {
  let [low, high] = [0, list.length];
  while (low < high) {
    const guess = likely ? guessed(list, low, high, likely) : undefined;
    const at = guess ?? Math.floor((low + high) / 2);
    const isHigh = await holds(list[at] as T);
    if (isHigh === undefined) break;
    if (isHigh) high = at;
    else low = at + 1;
  }
  return high;
}

/** The first between two for which it seems to hold; the last one, which says whether that is so, where it seems to hold for none. */
function guessed<T>(
  list: readonly T[],
  from: number,
  to: number,
  likely: (one: T) => boolean | undefined,
): number | undefined {
  let [low, high] = [from, to - 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const isLikely = likely(list[middle] as T);
    if (isLikely === undefined) return undefined;
    if (isLikely) high = middle;
    else low = middle + 1;
  }
  return high;
}
