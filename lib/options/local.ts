import type { Family } from './families.js';
import type { Option } from './option.js';

/** Families that make videos: a server answers with pictures. */
const VIDEOS: readonly Family[] = ['svd', 'zero', 'animatediff'];

/** Why no request from elsewhere may have an option; undefined: requests may, in the form that its kind has in JSON. */
export function whyLocal({ local, aliasOf, families, kind }: Option): string | undefined {
  if (local !== undefined) return local;
  if (aliasOf !== undefined) return `it is another name of ${aliasOf}`;
  if (families.every((family) => family === 'load')) return 'it is said when a model is loaded';
  if (families.every((family) => VIDEOS.includes(family))) return 'it is for videos';
  if (kind.json === undefined && kind.argument === 'tensor') return 'tensors have no form in JSON';
  return undefined;
}
