import type { Command } from 'commander';
import { DeepCacheError, invalidArgument } from '../errors.js';
import { checkDevice, checkThreads } from '../native/device.js';
import { collect, toCount } from './arguments.js';
import { modelFolder } from './default-model.js';

/** How the models of a server are loaded. */
export interface ServedModelFlags {
  model?: string[];
  device?: string;
  threads?: number;
  previewVae?: string[];
}

/** The flags of what is served. */
export function addServedModelFlags(command: Command): Command {
  return command
    .option(
      '-m, --model <name=place>',
      'a model and what requests call it; repeat it for several (default: the demo model)',
      collect,
    )
    .option(
      '--preview-vae <path>',
      'a small autoencoder (TAESD) that previews are decoded by; of one model alone: NAME=PATH; repeat it for several',
      collect,
    )
    .option('--device <name>', 'auto, cpu, cuda or cuda:N (default: auto)')
    .option('--threads <n>', 'CPU threads', toCount);
}

/** Models by the names that requests use: the values of `--model NAME=PLACE`, else the demo model. */
export function servedModels({ model: given, device, threads, previewVae = [] }: ServedModelFlags) {
  if (device !== undefined) checkDevice('device', device);
  if (threads !== undefined) checkThreads('threads', threads);
  const load = { ...(device !== undefined && { device }), ...(threads !== undefined && { threads }) };
  const models: Record<string, { model: string; previewVae?: string }> = {};
  for (const text of given ?? [`demo=${modelFolder(undefined).folder}`]) {
    const [, name, model] = /^([\w .-]{1,100})=(.+)$/s.exec(text) ?? [];
    if (name === undefined || model === undefined)
      throw invalidArgument('model', 'must be NAME=PLACE, such as sd15=models/stable-diffusion-v1-5');
    if (Object.hasOwn(models, name)) throw invalidArgument('model', `has two called ${name}`);
    models[name] = { ...load, model } as { model: string };
  }
  for (const text of previewVae) setPreviewVae(models, text);
  return models;
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
      if (!(error instanceof DeepCacheError)) throw error;
      throw new DeepCacheError(error.code, `--model ${name}: ${error.message}`, { cause: error });
    }
  }
}

/** `--preview-vae [NAME=]PATH`: of one model, or of all that none is named for. */
function setPreviewVae(models: Record<string, { model: string; previewVae?: string }>, text: string): void {
  const name = Object.keys(models).find((name) => text.startsWith(`${name}=`));
  const own = name === undefined ? undefined : models[name];
  if (own && name !== undefined) own.previewVae = text.slice(name.length + 1);
  else for (const model of Object.values(models)) model.previewVae ??= text;
}
