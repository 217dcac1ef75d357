import type { Command } from 'commander';
import { invalidArgument, messageOf, withOwner } from '../errors.js';
import { parseJsonObject } from '../files/json.js';
import { LIMITS, readSmallFile } from '../files/read.js';
import { checkDevice } from '../native/device.js';
import { checkOptions } from '../options/check.js';
import {
  checkModels,
  checkRunDefaults,
  type ModelOptions,
  RUN_DEFAULTS,
  type RunDefaults,
} from '../server/engine/model-options.js';
import { collect, toCount } from './arguments.js';
import { modelFolder } from './default-model.js';
import { flagsNamed, optionsOfFlags } from './flags.js';
import { type GenerateFlags, toLoadOptions } from './generate-options.js';

/** What models are loaded with: options of `fromPretrained` that make sense for several. */
const LOADING = [
  ...(['dtype', 'threads', 'autotune', 'vae', 'variant', 'offline', 'cacheDir', 'modelsDir'] as const),
  'unloadTextEncoder' as const,
];
/** What their runs take where requests say nothing else; the sampler is loaded with the model. */
const RUNNING = [...RUN_DEFAULTS, 'scheduler' as const];

type Named = Partial<Record<(typeof LOADING)[number] | (typeof RUNNING)[number], unknown>>;

/** How the models of a server are loaded. */
export interface ServedModelFlags extends Named {
  model?: string[];
  models?: string;
  device?: string[];
  previewVae?: string[];
  maxLoaded?: number;
}

/** All of them, for those who may not have any. */
export const SERVED_MODEL_FLAGS: readonly (keyof ServedModelFlags)[] = [
  ...(['model', 'models', 'device', 'previewVae', 'maxLoaded'] as const),
  ...[...LOADING, ...RUNNING],
];

/**
 * The flags of what is served.
 *
 * @param shows whether it shows previews.
 */
export function addServedModelFlags(command: Command, shows: boolean): Command {
  command
    .optionsGroup('What is served:')
    .option(
      '-m, --model <name=place>',
      'a model and what requests call it; repeat it for several (default: the demo model)',
      collect,
    )
    .option(
      '--models <file>',
      'a JSON file with more of them, each with options of its own (docs/serving.md)',
    )
    .option(
      '--device <name>',
      'auto, cpu, cuda or cuda:N; repeat it for several, which share the work (default: auto)',
      collect,
    )
    .option(
      '--max-loaded <n>',
      'models in memory at once on a device (default: as many as have room)',
      toCount,
    );
  if (shows)
    command.option(
      '--preview-vae <path>',
      'a small autoencoder (TAESD) that previews are decoded by; of one model alone: NAME=PATH; repeat it for several',
      collect,
    );
  for (const flag of flagsNamed(LOADING)) command.addOption(flag);
  command.optionsGroup('Of requests that say nothing else:');
  for (const flag of flagsNamed(RUNNING)) command.addOption(flag);
  return command;
}

type Writable = { -readonly [Name in keyof ModelOptions]: ModelOptions[Name] };

/** What an engine is to serve, as flags say it. */
export interface Served {
  readonly models: Readonly<Record<string, ModelOptions>>;
  readonly devices?: readonly string[];
  readonly maxLoaded?: number;
}

/**
 * Models by the names that requests use: the values of `--model NAME=PLACE` and what the file of `--models` has, else the
 * demo model. What flags say of loading and runs holds where the file says nothing else.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the flag.
 */
export async function servedModels(flags: ServedModelFlags): Promise<Served> {
  const { model: given, models: file, device: devices, maxLoaded, previewVae = [] } = flags;
  for (const device of devices ?? []) checkDevice('device', device);
  const load = toLoadOptions(some(flags, [...LOADING, 'scheduler']));
  checkOptions('load', load);
  const defaults: RunDefaults = optionsOfFlags('text2img', some(flags, RUN_DEFAULTS));
  checkRunDefaults(defaults);
  const models: Record<string, Writable> = Object.create(null);
  const add = (option: string, name: string, own: ModelOptions) => {
    if (Object.hasOwn(models, name)) throw invalidArgument(option, `has two called ${name}`);
    const runs = { ...defaults, ...own.defaults };
    models[name] = { ...load, ...own, ...(Object.keys(runs).length > 0 && { defaults: runs }) };
  };
  for (const text of given ?? (file === undefined ? [`demo=${modelFolder(undefined).folder}`] : [])) {
    const [, name, model] = /^([\w .-]{1,100})=(.+)$/s.exec(text) ?? [];
    if (name === undefined || model === undefined)
      throw invalidArgument('model', 'must be NAME=PLACE, such as sd15=models/stable-diffusion-v1-5');
    add('model', name, { model });
  }
  for (const [name, own] of file === undefined ? [] : await modelsOf(file)) add('models', name, own);
  for (const text of previewVae) setPreviewVae(models, text);
  return { models, ...(devices && { devices }), ...(maxLoaded !== undefined && { maxLoaded }) };
}

/** Those flags that were given. */
function some(flags: ServedModelFlags, names: readonly (keyof Named)[]): GenerateFlags {
  return Object.fromEntries(
    names.flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]])),
  ) as unknown as GenerateFlags;
}

/** The models of a JSON file: `{"NAME": "PLACE", "OTHER": {"model": "PLACE", ...}}`, options as `fromPretrained` has them. */
async function modelsOf(file: string): Promise<[string, ModelOptions][]> {
  let value: Record<string, unknown>;
  try {
    value = parseJsonObject(file, (await readSmallFile(file, LIMITS.config)).toString('utf8'));
  } catch (error) {
    throw invalidArgument('models', `cannot be read: ${messageOf(error)}`);
  }
  return [...checkModels(value, `--models ${file}: `)];
}

/** Reads what is known of the models without their weights: one that is none should be found now, not by the first caller. */
export async function lookAtModels(
  models: Readonly<Record<string, unknown>>,
  look: (name: string) => Promise<unknown>,
): Promise<void> {
  for (const name of Object.keys(models)) {
    try {
      await look(name);
    } catch (error) {
      throw withOwner(`--model ${name}`, error);
    }
  }
}

/** `--preview-vae [NAME=]PATH`: of one model, or of all that none is named for. */
function setPreviewVae(models: Record<string, Writable>, text: string): void {
  const name = Object.keys(models).find((name) => text.startsWith(`${name}=`));
  const own = name === undefined ? undefined : models[name];
  if (own && name !== undefined) own.previewVae = text.slice(name.length + 1);
  else for (const model of Object.values(models)) model.previewVae ??= text;
}
