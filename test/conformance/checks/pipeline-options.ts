import type { CacheSettings, FreeU, GenerateOptions } from '../../../lib/index.js';
import type { GoldenCase } from '../goldens.js';
import { withoutFinalZero } from '../schedulers.js';

/** Arguments that say what diffusers returns; here every case takes the latents. */
const IGNORED = ['output_type'];

/** Arguments with names of our own. */
const OURS: Readonly<Record<string, string>> = {
  controlnet_conditioning_scale: 'controlScale',
  control_guidance_start: 'controlStart',
  control_guidance_end: 'controlEnd',
  adapter_conditioning_scale: 't2iAdapterScale',
  adapter_conditioning_factor: 't2iAdapterFactor',
};

/** What a case says that takes the model's sampler. */
const MODELS_OWN = '(of the model)';

/** A case's arguments, in diffusers' names, as options of ours; without `cache`. */
export function generateOptions(golden: GoldenCase): GenerateOptions {
  let options: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(golden.field<Record<string, unknown>>('args') ?? {})) {
    if (value !== null && !IGNORED.includes(name)) options[OURS[name] ?? camelCase(name)] = value;
  }
  options.sigmas = withoutFinalZero(options.sigmas);
  Object.assign(options, guidanceOptions(golden));
  const seed = golden.field<number | number[]>('seed');
  options[Array.isArray(seed) ? 'seeds' : 'seed'] = seed;
  const scheduler = golden.field<string>('scheduler');
  // An argument of the pipeline there, a field of the sampler here.
  const { originalInferenceSteps: original, ...rest } = options;
  options = rest;
  options.scheduler = {
    ...(original !== undefined && { original_inference_steps: original }),
    ...golden.field<Record<string, unknown>>('scheduler_overrides'),
    ...(scheduler !== MODELS_OWN && { _class_name: scheduler }),
    // The reference means by absent fields what its own release means, whatever the model's file was written by.
    _diffusers_version: golden.sourceField<{ diffusers?: string }>('versions')?.diffusers,
  };
  for (const role of ['image', 'mask_image']) {
    if (golden.has(role)) options[camelCase(role)] = golden.tensor(role);
  }
  const nets = golden.field<string[]>('controlnet')?.length ?? 0;
  if (golden.has('control_image') && nets > 0) {
    options.controlImage = controlImages(golden, nets);
    options.controlCache = golden.field<string>('controlnet_mode');
  }
  const adapters = [golden.field<string | string[]>('adapter') ?? []].flat().length;
  if (golden.has('control_image') && adapters > 0) options.t2iAdapterImage = controlImages(golden, adapters);
  return options as unknown as GenerateOptions;
}

/** What each of several networks sees. */
function controlImages(golden: GoldenCase, count: number): unknown {
  const images = Array.from({ length: count }, (_, i) =>
    golden.tensor(i === 0 ? 'control_image' : `control_image_${i + 1}`),
  );
  return count === 1 ? images[0] : images;
}

/** What a case says of its guidance beside its arguments. */
function guidanceOptions(golden: GoldenCase): Partial<GenerateOptions> {
  const cutoff = golden.field<{ after_step: number }>('cutoff');
  const guidanceSchedule = golden.field<number[]>('cfg_schedule');
  const freeU = golden.field<FreeU>('freeu');
  const pag = golden.field<{ pag_applied_layers?: string | string[] }>('pag');
  return {
    ...(cutoff && { cutoffStepIndex: cutoff.after_step }),
    ...(guidanceSchedule && { guidanceSchedule }),
    ...(freeU && { freeU }),
    ...(pag?.pag_applied_layers && { pagAppliedLayers: pag.pag_applied_layers }),
  };
}

/** The reference's helper, with its own way of counting, and its gate; false without either. */
export function helperCache(golden: GoldenCase): CacheSettings | false {
  const helper = golden.field<{ cache_interval: number; cache_branch_id: number }>('deepcache');
  const gate = golden.field<Record<string, number>>('tgate');
  if (!helper && !gate) return false;
  const settings = Object.entries(gate ?? {}).map(([name, value]) => [camelCase(name), value]);
  return {
    ...(helper
      ? { interval: helper.cache_interval, branch: helper.cache_branch_id, counter: 'helper' }
      : { interval: 1, branch: 0 }),
    ...Object.fromEntries(settings),
  };
}

export function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
