import { InvalidArgumentError } from 'commander';
import { GATE_KEYS } from '../deepcache/gate.js';
import { CACHE_PRESETS, type CacheOptions, type CachePreset } from '../deepcache/index.js';
import { FACTORS } from '../deepcache/plan.js';
import { closest, unknownName } from '../names.js';
import { toNumber } from './arguments.js';

export const CACHE_HELP = 'off, quality, balanced, fast, or settings such as interval=3,branch=1';

/** The settings in full, for the end of a command's help. */
export const CACHE_SETTINGS_HELP = `
DeepCache computes only some steps in full; the others take the deep part of the U-Net from the last full one.
  --cache off                 every step in full (default)
  --cache quality             as many full steps as every 2nd (interval=2) ...
  --cache balanced            every 3rd ...
  --cache fast                every 5th; which ones is by sampler and guidance scale
  --cache KEY=VALUE,...       settings of your own:
     interval=N               every Nth step in full
     branch=B                 how deep the other steps go; 0, the default, is the fastest
     schedule=nonuniform      the full steps gather around a step ...
     center=C,power=P         ... this one, this strongly (1.4 is the paper's)
     steps=0+5+12             the full steps themselves, instead of an interval
     counter=helper           count as the original's DeepCacheSDHelper does
     plan=FPPFR...            a letter for each step: F in full, R cached, P predicted without the U-Net
     damping=D                P carries on D (0 to 1) of the change between the last two full steps
     gamma=0.5+1+...          or this much of it, a factor for each P
     curve=...                and so much of the change of that change, over three full steps
     clean=...,noise=...      and so much of the last full step's clean latents and noise, as tune finds
     featureDamping=D         cached steps carry on D (0 to 1) of the change of what is cached
     gateStep=N               T-GATE: from step N on cross attention stays as it was before, without guidance
     spInterval=N,warmUp=N    before it self attention is computed every Nth step, from step warmUp on
     fiInterval=N             the same from it on`;

const NUMBERS: readonly string[] = [
  'interval',
  'branch',
  'center',
  'power',
  'damping',
  'featureDamping',
  ...GATE_KEYS,
];
const WORDS = ['schedule', 'counter', 'plan'];
const LISTS = ['steps', ...FACTORS];

/** Reads the value of `--cache`. Ranges are the library's business: they depend on the run and the U-Net. */
export function toCacheOptions(text: string): CacheOptions {
  if (['off', 'false', 'none'].includes(text)) return false;
  if (Object.hasOwn(CACHE_PRESETS, text)) return text as CachePreset;
  const settings: Record<string, unknown> = {};
  for (const part of text.split(',')) {
    const [key = '', value, ...rest] = part.split('=').map((piece) => piece.trim());
    if (!value || rest.length > 0) {
      const meant = closest(text, Object.keys(CACHE_PRESETS));
      const hint = meant === undefined ? '' : ` Did you mean ${meant}?`;
      throw new InvalidArgumentError(`It must be ${CACHE_HELP}.${hint}`);
    }
    if (Object.hasOwn(settings, key)) throw new InvalidArgumentError(`It sets ${key} twice.`);
    settings[key] = toSetting(key, value);
  }
  return settings as unknown as CacheOptions;
}

function toSetting(key: string, value: string): unknown {
  if (NUMBERS.includes(key)) return toNumber(value);
  if (WORDS.includes(key)) return value;
  if (LISTS.includes(key)) return value.split('+').map(toNumber);
  const known = unknownName(key, [...NUMBERS, ...WORDS, ...LISTS]);
  throw new InvalidArgumentError(`There is no cache setting ${key}; ${known}`);
}
