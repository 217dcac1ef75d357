import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { unknownName } from '../names.js';
import { FAMILIES, type Family, familyNames } from './families.js';
import type { Limits } from './limits.js';
import type { Option } from './option.js';
import { OPTIONS, type OptionName, optionsOf } from './spec/index.js';

/** What a call without options should have looked like. */
const EXAMPLES: { readonly [Name in Family]?: string } = {
  svd: '{ image: "photo.png" }',
  ddpm: '{ batchSize: 4, seed: 0 }',
  ldm: '{ classLabels: [207, 360] }',
  load: '{ device: "cpu" }',
};

/** What a check leaves out. */
export interface CheckScope {
  /** Only the prompts are needed: pictures may be missing. */
  readonly textsOnly?: boolean;
}

/**
 * Checks what can be known of options before a run: their names, types and ranges, and which go together. What depends
 * on the sampler and the U-Net is checked with the plan of the run.
 *
 * @param limits of the model; what it leaves out is not checked.
 * @returns the options with other names resolved.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option.
 */
export function checkOptions<T extends object>(
  family: Family,
  given: T,
  limits: Limits = {},
  scope: CheckScope = {},
): T {
  if (typeof given !== 'object' || given === null) {
    const example = EXAMPLES[family] ?? '{ prompt: "a lighthouse" }';
    throw invalidArgument('options', `must be an object, such as ${example}`);
  }
  checkNames(family, given);
  const values = given as Readonly<Record<string, unknown>>;
  const resolved: Record<string, unknown> = { ...values };
  for (const [name, { kind, aliasOf }] of optionsOf(family)) {
    const value = values[name];
    if (value === undefined) continue;
    kind.check(name, value, limits);
    if (aliasOf === undefined) continue;
    const other = values[aliasOf];
    if (other !== undefined && other !== value) {
      throw invalidArgument(
        name,
        `is another name of ${aliasOf}; they say ${show(value)} and ${show(other)}`,
      );
    }
    delete resolved[name];
    resolved[aliasOf] = value;
  }
  checkTogether(family, resolved, scope);
  return resolved as T;
}

/**
 * Looks at all values of large options that were checked.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option; the signal's reason after an abort.
 */
export async function checkAllValues(options: object, signal: AbortSignal | undefined): Promise<void> {
  for (const [name, value] of Object.entries(options)) {
    const known = Object.hasOwn(OPTIONS, name) ? (OPTIONS[name as OptionName] as Option) : undefined;
    if (value !== undefined) await known?.kind.checkAll?.(name, value, signal);
  }
}

/** Throws for a name that is no option, or not one of the family. */
function checkNames(family: Family, given: object): void {
  const known = optionsOf(family).map(([name]): string => name);
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    const elsewhere = Object.hasOwn(OPTIONS, name) ? familyNames(OPTIONS[name as OptionName].families) : [];
    throw invalidArgument(
      name,
      elsewhere.length > 0
        ? `is not an option of ${FAMILIES[family]}; it is one of ${elsewhere.join(', ')}`
        : `is not an option; ${unknownName(name, known)}`,
    );
  }
}

function checkTogether(
  family: Family,
  values: Readonly<Record<string, unknown>>,
  { textsOnly = false }: CheckScope,
): void {
  const isGiven = (name: string) => values[name] !== undefined && values[name] !== null;
  for (const [name, { excludes = [], needs, required, instead }] of optionsOf(family)) {
    const missing = required?.[family];
    if (!isGiven(name)) {
      if (missing === undefined || (instead !== undefined && isGiven(instead))) continue;
      if (textsOnly && name !== 'prompt') continue;
      throw invalidArgument(name, `is missing${missing}`);
    }
    const other = excludes.find(isGiven);
    if (other !== undefined) throw invalidArgument(name, `and ${other} exclude each other`);
    if (needs && !isGiven(needs.name)) throw invalidArgument(name, `needs ${needs.name} ${needs.why}`);
  }
}
