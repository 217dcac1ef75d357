import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { closest } from '../names.js';
import { ADAPTIVE_DIFFUSION } from './policies/adaptive-diffusion.js';
import { FEWER_STEPS, GUIDANCE_INTERVAL } from './policies/baselines.js';
import { EASYCACHE, UCACHE } from './policies/easycache.js';
import { DEEPCACHE_LIST, DEEPCACHE_NONUNIFORM, DEEPCACHE_UNIFORM, FORECAST } from './policies/laid-out.js';
import { SADA } from './policies/sada.js';
import { SPECTRUM } from './policies/spectrum.js';
import { T_GATE } from './policies/t-gate.js';
import { TAYLORSEER } from './policies/taylorseer.js';
import { ZEUS } from './policies/zeus.js';
import { type LabPolicy, type LabSettings, type PolicyFamily, policyOf } from './policy.js';

/** Every kind of policies that the laboratory knows. */
export const POLICY_FAMILIES = [
  FEWER_STEPS,
  DEEPCACHE_UNIFORM,
  DEEPCACHE_NONUNIFORM,
  DEEPCACHE_LIST,
  FORECAST,
  GUIDANCE_INTERVAL,
  T_GATE,
  EASYCACHE,
  UCACHE,
  ADAPTIVE_DIFFUSION,
  SADA,
  ZEUS,
  SPECTRUM,
  TAYLORSEER,
] as unknown as readonly PolicyFamily[];

const names = () => POLICY_FAMILIES.map(({ name }) => name);

/**
 * Policies by a list such as `deepcache,zeus,easycache:threshold=0.1`: a kind's name stands for those of its front, or
 * for one with the settings behind it; `all` for the fronts of all.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming what is not known.
 */
export function policiesOf(list: string): LabPolicy[] {
  const policies = list.split(',').flatMap((text) => {
    if (text === 'all') return POLICY_FAMILIES.flatMap(frontOf);
    const [name = '', ...given] = text.split(':');
    const family = POLICY_FAMILIES.find((known) => known.name === name);
    if (!family) {
      const meant = closest(name, names());
      const hint = meant === undefined ? '' : `; did you mean '${meant}'?`;
      throw invalidArgument('policies', `must be all, or of ${names().join(', ')}, got ${show(name)}${hint}`);
    }
    return given.length === 0 ? frontOf(family) : [policyOf(family, settingsOf(family, given))];
  });
  return [...new Map(policies.map((policy) => [policy.name, policy])).values()];
}

const frontOf = (family: PolicyFamily) =>
  family.front.map((settings) => policyOf(family, settings as LabSettings));

function settingsOf({ name, defaults }: PolicyFamily, given: readonly string[]): LabSettings {
  return Object.fromEntries(
    given.map((text) => {
      const [key = '', value = ''] = text.split('=');
      const usual = defaults[key];
      if (usual === undefined) {
        const known = Object.keys(defaults).join(', ');
        throw invalidArgument('policies', `${name} has settings ${known}, got ${show(key)}`);
      }
      if (typeof usual === 'string') return [key, value];
      const number = value.trim() === '' ? Number.NaN : Number(value);
      if (!Number.isFinite(number)) {
        throw invalidArgument('policies', `${name} ${key} must be a number, got ${show(value)}`);
      }
      return [key, number];
    }),
  );
}
