import { invalidArgument } from '../errors.js';
import { unknownName } from '../names.js';
import * as checks from '../options/checks.js';
import { type CompileOptions, optionInRange } from './compiled.js';

/** What single samplers take for a run besides steps, timesteps, sigmas and eta. */
export type SamplerOptions = Pick<
  CompileOptions,
  | 'sChurn'
  | 'sTmin'
  | 'sTmax'
  | 'sNoise'
  | 'useClippedModelOutput'
  | 'order'
  | 'originalInferenceSteps'
  | 'strength'
  | 'mu'
  | 'jumpLength'
  | 'jumpNSample'
>;

export type SamplerOptionName = keyof SamplerOptions;

const real = (max?: number) => (name: string, value: unknown) => {
  optionInRange(name, value, 0, 0, max);
};
const whole = (max: number) => (name: string, value: unknown) => {
  checks.whole(name, value, 1, 1, max);
};

const CHECKS: { readonly [Name in SamplerOptionName]-?: (name: string, value: unknown) => void } = {
  sChurn: real(),
  sTmin: real(),
  sTmax: real(),
  sNoise: real(),
  useClippedModelOutput(name, value) {
    checks.flag(name, value);
  },
  order: whole(8),
  originalInferenceSteps: whole(100_000),
  strength: real(1),
  mu(name, value) {
    if (typeof value !== 'number' || !Number.isFinite(value)) {
      throw invalidArgument(name, 'must be a finite number');
    }
  },
  jumpLength: whole(100_000),
  jumpNSample: whole(100_000),
};

export const SAMPLER_OPTIONS = Object.keys(CHECKS) as readonly SamplerOptionName[];

/**
 * The options of a run's sampler, without those that are undefined.
 *
 * @param known that the sampler of class `className` has; without it any sampler's.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option.
 */
export function checkSamplerOptions(
  options: object | undefined,
  { className, known }: { className: string; known: readonly string[] },
): SamplerOptions {
  const given = Object.entries(options ?? {}).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    const title = `schedulerOptions.${name}`;
    if (!known.includes(name)) {
      const has = known.length === 0 ? 'which has none of its own' : `which has ${known.join(', ')}`;
      const what = Object.hasOwn(CHECKS, name)
        ? `does not apply to ${className}, ${has}`
        : `is not an option of ${className}; ${unknownName(name, known.length > 0 ? known : SAMPLER_OPTIONS)}`;
      throw invalidArgument(title, what);
    }
    CHECKS[name as SamplerOptionName](title, value);
  }
  return Object.fromEntries(given);
}
