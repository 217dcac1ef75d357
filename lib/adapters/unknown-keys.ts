import { shorten } from '../messages.js';
import type { AdapterFile } from './read.js';

/** Keys that messages name. */
const MOST_KEYS = 5;

/** A remark about keys of a file that mean nothing to the model; undefined where there are none. */
export function unknownKeysText({
  path,
  unknown,
}: Pick<AdapterFile, 'path' | 'unknown'>): string | undefined {
  if (unknown.length === 0) return undefined;
  const some = unknown.slice(0, MOST_KEYS).map((key) => shorten(key, 100));
  const more = unknown.length > MOST_KEYS ? ` and ${unknown.length - MOST_KEYS} more` : '';
  return `${path}: keys that mean nothing here are left out: ${some.join(', ')}${more}`;
}
