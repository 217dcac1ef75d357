/** The full call before, -1 where there is none, the last one, and the next, or the end. */
export type Gap = [before: number, last: number, end: number];

/**
 * The list of `count` full calls, among `places` (ascending, from 0), with the least sum of its gaps' costs, where a gap
 * costs by its own length and that of the one before: dynamic programming over the last two full calls. Undefined when
 * there is no list of finite cost.
 */
export function cheapestPairs(
  places: readonly number[],
  calls: number,
  count: number,
  cost: (...gap: Gap) => number,
): number[] | undefined {
  // ways[last][before + 1]: the cheapest way to have the n-th full call at a place after one at another.
  const none = (value: number) => places.map(() => Array<number>(places.length + 1).fill(value));
  let ways = none(Infinity);
  (ways[0] as number[])[0] = 0;
  // The cost of each is asked for once, however many lists have it.
  const costs = new Map<number, number>();
  const costOf = (before: number, last: number, end: number) => {
    const key = ((before + 1) * places.length + last) * (places.length + 1) + end;
    let known = costs.get(key);
    if (known === undefined) {
      known = cost(at(before), at(last), end === places.length ? calls : at(end));
      costs.set(key, known);
    }
    return known;
  };
  const at = (index: number) => (index < 0 ? -1 : (places[index] as number));
  /** from[n][last][before + 1]: the full call before both. */
  const from: number[][][] = [];
  for (let n = 1; n < count; n++) {
    const [next, origin] = [none(Infinity), none(-1)];
    for (const [last, row] of ways.entries()) {
      for (let before = -1; before < last; before++) {
        const known = row[before + 1] as number;
        if (known === Infinity) continue;
        for (let end = last + 1; end < places.length; end++) {
          const sum = known + costOf(before, last, end);
          const best = next[end] as number[];
          if (!(sum < (best[last + 1] as number))) continue;
          best[last + 1] = sum;
          (origin[end] as number[])[last + 1] = before;
        }
      }
    }
    ways = next;
    from.push(origin);
  }
  let [least, end, previous] = [Infinity, -1, -1];
  for (const [last, row] of ways.entries()) {
    for (let before = -1; before < last; before++) {
      const sum = (row[before + 1] as number) + costOf(before, last, places.length);
      if (sum < least) [least, end, previous] = [sum, last, before];
    }
  }
  if (least === Infinity) return undefined;
  const list: number[] = [at(end)];
  for (const origin of from.reverse()) {
    list.unshift(at(previous));
    [end, previous] = [previous, (origin[end] as number[])[previous + 1] as number];
  }
  return list;
}
