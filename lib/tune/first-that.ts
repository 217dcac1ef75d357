/**
 * The index of the first of a list for which something holds, which holds for all behind it, by halving. `holds` gives
 * undefined to stop; the list's length when it holds for none.
 */
export async function firstThat<T>(
  list: readonly T[],
  holds: (one: T) => Promise<boolean | undefined>,
): Promise<number> {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const isHigh = await holds(list[middle] as T);
    if (isHigh === undefined) break;
    if (isHigh) high = middle;
    else low = middle + 1;
  }
  return high;
}
