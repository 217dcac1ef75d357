import { FACTORS } from '../deepcache/plan.js';
import type { TuneResult } from '../tune/index.js';

// What was found, to paste.

const SETTINGS = ['steps', 'plan', ...FACTORS, 'damping', 'branch', 'featureDamping'] as const;

/** The settings that there are, as text by what theirs is. */
function textOf(cache: Partial<TuneResult['cache']>, valueText: (value: unknown) => string, sign: string) {
  const given = SETTINGS.filter((key) => cache[key] !== undefined);
  return given.map((key) => `${key}${sign}${valueText(cache[key])}`);
}

/** As the command line takes it. */
export function cacheText(cache: Partial<TuneResult['cache']>): string {
  const valueText = (value: unknown) => (Array.isArray(value) ? value.join('+') : String(value));
  return `--cache ${textOf(cache, valueText, '=').join(',')}`;
}

/** As code has it. */
export function optionText(cache: TuneResult['cache']): string {
  const valueText = (value: unknown) => JSON.stringify(value).replaceAll('"', "'").replaceAll(',', ', ');
  return `cache: { ${textOf(cache, valueText, ': ').join(', ')} }`;
}
