import { invalidArgument } from '../errors.js';
import { modelFolder } from './default-model.js';

/** How the models of a server are loaded. */
export interface ServedModelFlags {
  model?: string[];
  device?: string;
  threads?: number;
  previewVae?: string[];
}

/** Models by the names that requests use: the values of `--model NAME=PLACE`, else the demo model. */
export function servedModels({ model: given, device, threads, previewVae = [] }: ServedModelFlags) {
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

/** `--preview-vae [NAME=]PATH`: of one model, or of all that none is named for. */
function setPreviewVae(models: Record<string, { model: string; previewVae?: string }>, text: string): void {
  const name = Object.keys(models).find((name) => text.startsWith(`${name}=`));
  const own = name === undefined ? undefined : models[name];
  if (own && name !== undefined) own.previewVae = text.slice(name.length + 1);
  else for (const model of Object.values(models)) model.previewVae ??= text;
}
