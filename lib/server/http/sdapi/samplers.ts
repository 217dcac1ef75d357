import { invalidArgument } from '../../../errors.js';
import { show } from '../../../messages.js';
import { UI_NAMES } from '../../../schedulers/aliases.js';

/** Ways to space the steps, by the web UI's names, and the word behind a sampler's name that stands for each. */
const SPACINGS = [
  { name: 'automatic', label: 'Automatic', word: '' },
  { name: 'karras', label: 'Karras', word: ' Karras' },
  { name: 'exponential', label: 'Exponential', word: ' Exponential' },
  { name: 'beta', label: 'Beta', word: ' Beta' },
  { name: 'sgm_uniform', label: 'SGM Uniform', word: ' SGM Uniform' },
] as const;

/** For `/samplers`: those whose names say nothing of the spacing. */
export function samplerItems(): object[] {
  return UI_NAMES.filter((name) => !name.endsWith(' Karras')).map((name) => ({
    name,
    aliases: [name.toLowerCase()],
    options: {},
  }));
}

/** For `/schedulers`. */
export function spacingItems(): object[] {
  return SPACINGS.map(({ name, label }) => ({
    ...{ name, label, aliases: null },
    ...{ default_rho: -1, need_inner_model: false },
  }));
}

/**
 * The sampler that a sampler's and a spacing's name mean together; undefined: the model's own.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a spacing that is not known.
 */
export function samplerOf(sampler: string | undefined, spacing: string | undefined): string | undefined {
  if (sampler === undefined || sampler === '' || sampler === 'Automatic') return undefined;
  if (spacing === undefined || spacing === '') return sampler;
  const found = SPACINGS.find(({ name, label }) => name === spacing || label === spacing);
  if (!found) {
    const names = SPACINGS.map(({ label }) => label).join(', ');
    throw invalidArgument('scheduler', `${show(spacing)} is not known; there are ${names}`);
  }
  return sampler.endsWith(found.word) ? sampler : sampler + found.word;
}
