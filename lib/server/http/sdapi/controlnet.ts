import { PREPROCESSORS } from '../../../control/preprocess/preprocess.js';
import { invalidArgument } from '../../../errors.js';
import { show } from '../../../messages.js';
import type { JobNetworks } from '../../engine/networks.js';

// The fields of the web UI's extension for ControlNets, as its clients send them in `alwayson_scripts`.

interface Unit {
  readonly enabled?: unknown;
  readonly image?: unknown;
  readonly input_image?: unknown;
  readonly model?: unknown;
  readonly module?: unknown;
  readonly weight?: unknown;
  readonly guidance_start?: unknown;
  readonly guidance_end?: unknown;
  readonly resize_mode?: unknown;
}

const SCRIPT = /^controlnet$/i;
/** Its ways to bring pictures to size, by number and name, in the library's words. */
const RESIZE: Readonly<Record<string, string>> = {
  ...{ 0: 'stretch', 1: 'crop', 2: 'fill' },
  ...{ 'Just Resize': 'stretch', 'Crop and Resize': 'crop', 'Resize and Fill': 'fill' },
};
/** Preprocessors that the library has under other names. */
const MODULES: Readonly<Record<string, string>> = {
  ...{ none: 'none', None: 'none', blur_gaussian: 'blur', tile_resample: 'tile' },
  ...Object.fromEntries(PREPROCESSORS.map((name) => [name, name])),
};
/** What clients may ask for. */
export const MODULE_NAMES = ['none', ...PREPROCESSORS];

/**
 * What the units of a request ask for; undefined without any that is enabled.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the unit's field.
 */
export function controlUnits({ alwayson_scripts: scripts }: { readonly alwayson_scripts?: unknown }):
  | {
      readonly controlNets: NonNullable<JobNetworks['controlNets']>;
      readonly options: Record<string, unknown>;
    }
  | undefined {
  if (typeof scripts !== 'object' || scripts === null) return undefined;
  const found = Object.entries(scripts).find(([name]) => SCRIPT.test(name))?.[1] as { args?: unknown } | null;
  const args: unknown = found?.args;
  const units = (Array.isArray(args) ? args : []).filter(
    (unit): unit is Unit => typeof unit === 'object' && unit !== null && (unit as Unit).enabled !== false,
  );
  if (units.length === 0) return undefined;
  const resizes = new Set(units.map(resizeOf));
  if (resizes.size > 1)
    throw invalidArgument('alwayson_scripts', 'has units with different resize_mode; all must have the same');
  const [controlResize] = resizes;
  const numbers = (field: keyof Unit, fallback: number) =>
    units.map((unit) => (unit[field] as number | null | undefined) ?? fallback);
  return {
    controlNets: units.map(nameOf),
    options: {
      controlImage: units.length === 1 ? imageOf(units[0] as Unit) : units.map(imageOf),
      controlPreprocess: units.map(moduleOf),
      controlScale: checkNumbers('weight', numbers('weight', 1)),
      controlStart: checkNumbers('guidance_start', numbers('guidance_start', 0)),
      controlEnd: checkNumbers('guidance_end', numbers('guidance_end', 1)),
      ...(controlResize !== 'stretch' && { controlResize }),
    },
  };
}

function checkNumbers(field: string, values: readonly unknown[]): readonly number[] {
  for (const value of values)
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw invalidArgument('alwayson_scripts', `has a unit whose ${field} is no number: ${show(value)}`);
  return values as readonly number[];
}

/** Clients send names with a hash behind them. */
function nameOf({ model }: Unit): string {
  if (typeof model === 'string') return model.replace(/ \[[0-9a-f]+\]$/, '');
  throw invalidArgument('alwayson_scripts', `has a unit whose model is no name: ${show(model)}`);
}

function imageOf({ image, input_image: old }: Unit): string {
  const given = image ?? old;
  const text = typeof given === 'object' && given !== null ? (given as { image?: unknown }).image : given;
  if (typeof text === 'string') return text;
  throw invalidArgument('alwayson_scripts', 'has a unit without a picture in base64');
}

function moduleOf({ module }: Unit): string {
  const known = Object.hasOwn(MODULES, String(module ?? 'none'))
    ? MODULES[String(module ?? 'none')]
    : undefined;
  if (known !== undefined) return known;
  throw invalidArgument(
    'alwayson_scripts',
    `has a unit whose module is ${show(module)}; there are ${Object.keys(MODULES).join(', ')}`,
  );
}

function resizeOf({ resize_mode: mode }: Unit): string {
  const known = Object.hasOwn(RESIZE, String(mode ?? 0)) ? RESIZE[String(mode ?? 0)] : undefined;
  if (known !== undefined) return known;
  throw invalidArgument('alwayson_scripts', `has a unit whose resize_mode is ${show(mode)}`);
}
