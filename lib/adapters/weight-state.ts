import type { FileStamp } from '../files/random-access.js';
import type { AdapterTerm } from '../native/adapter-terms.js';
import type { PartName } from './part.js';
import type { AdapterFile } from './read.js';
import { type LoraScale, scaleOf } from './scale.js';

/** An adapter that counts. */
export interface AdapterUse {
  readonly file: AdapterFile;
  readonly scale: LoraScale;
  /** Tells its terms from those of other adapters. */
  readonly id: number;
}

/** A weight's terms, what their files are, and a text that is the same for the same terms. */
export interface WeightState {
  readonly terms: AdapterTerm[];
  readonly stamps: Map<string, FileStamp>;
  key: string;
}

/** By the weights' names. */
export type PartState = Map<string, WeightState>;

/** What is on a network's weights with these adapters, in their order; without those whose scale is 0. */
export function stateOf(part: PartName, uses: readonly AdapterUse[]): PartState {
  const state: PartState = new Map();
  for (const { file, scale, id } of uses) {
    for (const change of file.changes) {
      const own = change.part === part ? scaleOf(scale, part, change.weight) : 0;
      if (own === 0) continue;
      const weight: WeightState = state.get(change.weight) ?? { terms: [], stamps: new Map(), key: '' };
      weight.terms.push({ ...change.term, scale: own });
      weight.stamps.set(file.path, file.stamp);
      weight.key += `${id} ${own},`;
      state.set(change.weight, weight);
    }
  }
  return state;
}
