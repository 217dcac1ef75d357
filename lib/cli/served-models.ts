import { invalidArgument } from '../errors.js';
import { modelFolder } from './default-model.js';

/** How the models of a server are loaded. */
export interface ServedModelFlags {
  model?: string[];
  device?: string;
  threads?: number;
}

/** Models by the names that requests use: the values of `--model NAME=PLACE`, else the demo model. */
export function servedModels({ model: given, device, threads }: ServedModelFlags) {
  const load = { ...(device !== undefined && { device }), ...(threads !== undefined && { threads }) };
  const models: Record<string, { model: string }> = {};
  for (const text of given ?? [`demo=${modelFolder(undefined).folder}`]) {
    const [, name, model] = /^([\w .-]{1,100})=(.+)$/s.exec(text) ?? [];
    if (name === undefined || model === undefined)
      throw invalidArgument('model', 'must be NAME=PLACE, such as sd15=models/stable-diffusion-v1-5');
    if (Object.hasOwn(models, name)) throw invalidArgument('model', `has two called ${name}`);
    models[name] = { ...load, model } as { model: string };
  }
  return models;
}
