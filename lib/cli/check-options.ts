import { checkOptions } from '../options/check.js';
import type { Family } from '../options/families.js';

/** Throws what is wrong with options, before a model is loaded. */
export async function checkForFolder(_folder: string, family: Family, options: object): Promise<void> {
  checkOptions(family, options);
}
