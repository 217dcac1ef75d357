import { sampleFromQuadCenter } from '../deepcache/index.js';
import { DeepCacheError } from '../errors.js';

// Lists of full calls: ascending, different, from 0.

/** `count` full calls as evenly spread over `calls` as whole numbers allow. */
export function uniformList(calls: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.floor((i * calls) / count));
}

const POWERS = [1.2, 1.4, 1.8];
const CENTERS = [0, 0.15, 0.3, 0.5, 0.7];

/** Lists of the paper's non-uniform kind with that many full calls, all different. */
export function nonuniformLists(calls: number, count: number): number[][] {
  const lists = new Map<string, number[]>();
  for (const center of CENTERS) {
    for (const power of POWERS) {
      try {
        const { indices } = sampleFromQuadCenter(calls, count, Math.floor(center * calls), power);
        lists.set(indices.join(), indices);
      } catch (error) {
        // Some have no list of this length.
        if (!(error instanceof DeepCacheError)) throw error;
      }
    }
  }
  return [...lists.values()];
}

/** The lists in which one full call, not the first, was moved by `distance` or less, nearest moves first. */
export function neighbours(list: readonly number[], calls: number, distance: number): number[][] {
  const out: number[][] = [];
  for (let step = 1; step <= distance; step++) {
    for (let i = 1; i < list.length; i++) {
      for (const moved of [(list[i] as number) - step, (list[i] as number) + step]) {
        if (moved < 1 || moved >= calls || list.includes(moved)) continue;
        out.push(list.map((call, k) => (k === i ? moved : call)).sort((a, b) => a - b));
      }
    }
  }
  return out;
}

/**
 * The list of `count` full calls, among `places` (ascending, from 0), with the least sum of its gaps' costs, by dynamic
 * programming; undefined when there are fewer places.
 *
 * @param cost of the calls between one full call and the next one, or the end at `calls`.
 */
export function cheapestList(
  places: readonly number[],
  calls: number,
  count: number,
  cost: (from: number, to: number) => number,
): number[] | undefined {
  if (count < 1 || places.length < count) return undefined;
  // The cheapest way to have the n-th full call at each place, and the place of the one before.
  let costs = places.map((_, i) => (i === 0 ? 0 : Infinity));
  const before: number[][] = [];
  for (let n = 1; n < count; n++) {
    const next = places.map(() => Infinity);
    const from = places.map(() => 0);
    for (let to = n; to < places.length; to++) {
      for (let i = n - 1; i < to; i++) {
        const sum = (costs[i] as number) + cost(places[i] as number, places[to] as number);
        if (sum >= (next[to] as number)) continue;
        next[to] = sum;
        from[to] = i;
      }
    }
    costs = next;
    before.push(from);
  }
  const totals = costs.map((sum, i) => sum + cost(places[i] as number, calls));
  let at = totals.indexOf(Math.min(...totals));
  const list = [places[at] as number];
  for (const from of before.reverse()) {
    at = from[at] as number;
    list.unshift(places[at] as number);
  }
  return list;
}
