import { distilledDefaults } from '../../distilled/defaults.js';
import { invalidConfig, messageOf } from '../../errors.js';
import type { Log } from '../../log.js';
import { remarks, shorten } from '../../messages.js';
import type { PartSource } from '../../models/part-source.js';
import { real, whole } from '../../options/checks.js';
import type { GenerationDefaults } from './parts.js';

const FILE = 'generation_config.json';

/** Fields of the file, in diffusers' spelling, and how they are checked. */
const FIELDS: Readonly<Record<string, (value: unknown) => GenerationDefaults>> = {
  num_inference_steps: (value) => ({ steps: whole('num_inference_steps', value, 1, 1, 100_000) }),
  guidance_scale: (value) => ({ guidanceScale: real('guidance_scale', value, 0, 0, 1000) }),
  guidance_rescale: (value) => ({ guidanceRescale: real('guidance_rescale', value, 0, 0, 1) }),
};

/**
 * Reads a model's `generation_config.json`, which may be missing: the place that transformers has for the
 * defaults of a model's runs. Fields that are not known are ignored, and the log says so.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG naming file and field.
 */
export async function readGenerationConfig(
  source: PartSource,
  log: Log,
  signal?: AbortSignal,
): Promise<GenerationDefaults> {
  if (!source.hasJson(FILE)) return {};
  const { path, value } = await source.json(FILE, { signal });
  let defaults: GenerationDefaults = {};
  const unknown: string[] = [];
  for (const [name, given] of Object.entries(value)) {
    const read = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
    if (!read) {
      // Names with an underscore in front are notes of programs to themselves.
      if (!name.startsWith('_')) unknown.push(name);
      continue;
    }
    try {
      defaults = { ...defaults, ...read(given) };
    } catch (error) {
      throw invalidConfig(path, messageOf(error));
    }
  }
  const why = `is ignored; known are ${Object.keys(FIELDS).join(', ')}`;
  for (const text of remarks(unknown, (name) => `${shorten(name)} ${why}`, 'fields are ignored')) {
    log(`${path}: ${text}`);
  }
  return defaults;
}

/** Options of a run on top of what the model's folder recommends. Steps have other names, and may be listed. */
export function withDefaults<Options extends object>(
  defaults: GenerationDefaults,
  options: Options,
): Options {
  // What is no object at all is refused where options are checked.
  if (typeof options !== 'object' || options === null) return options;
  const given = options as Record<string, unknown>;
  const isGiven = (...names: string[]) => names.some((name) => given[name] !== undefined);
  const { distilled: _, ...usual } = distilledDefaults(given.distilled, given, defaults);
  const hasOwn = isGiven('timesteps', 'sigmas');
  const used = Object.entries(usual).filter(([name, value]) => {
    if (value === undefined) return false;
    if (name === 'steps') return !isGiven('steps', 'numInferenceSteps') && !hasOwn && !usual.timesteps;
    return name === 'timesteps' ? !hasOwn : !isGiven(name);
  });
  const own = Object.fromEntries(used);
  // The list is for as many steps.
  const counts = own.timesteps === undefined ? {} : { steps: undefined, numInferenceSteps: undefined };
  return { ...options, ...counts, ...own };
}
