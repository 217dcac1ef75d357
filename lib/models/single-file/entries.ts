import type { Naming, Place } from './place.js';

/** A tensor of an original checkpoint, and those of a component that it is made of. */
export interface Entry {
  readonly key: string;
  /** In diffusers' or transformers' names: one, or three with `concat_rows`. */
  readonly names: readonly string[];
  readonly op?: Place['op'];
}

/** What an original checkpoint calls the tensors of a component, for the way back. */
export function entriesOf(names: readonly string[], naming: Naming): Entry[] {
  const entries = new Map<string, { key: string; names: string[]; op?: Place['op'] }>();
  for (const name of names) {
    const { key, op, part = 0 } = naming(name);
    const entry = entries.get(key) ?? { key, names: [], ...(op && { op }) };
    entry.names[part] = name;
    entries.set(key, entry);
  }
  return [...entries.values()];
}
