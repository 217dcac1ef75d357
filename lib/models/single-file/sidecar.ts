import { readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { JsonObject } from '../../files/json.js';
import { statOf } from '../../files/read.js';
import { readYaml } from '../../files/yaml.js';

/** The training configuration of a checkpoint, in a file beside it: CompVis', Stability's, or that of the DDPM code. */
export interface Sidecar {
  readonly path: string;
  readonly value: Readonly<JsonObject>;
}

const YAML = /\.ya?ml$/i;

/** Whether a path is that of a training configuration. */
export function isYaml(path: string): boolean {
  return YAML.test(path);
}

/** Reads model.yaml beside model.ckpt, where there is one. */
export async function readSidecar(file: string, signal?: AbortSignal): Promise<Sidecar | undefined> {
  const stem = file.slice(0, file.length - extname(file).length);
  const path = [`${stem}.yaml`, `${stem}.yml`, `${file}.yaml`].find((name) => statOf(name)?.isFile());
  return path === undefined ? undefined : { path, value: await readYaml(path, { signal }) };
}

/** Reads the only .yaml file of a folder, where there is just one. */
export async function onlySidecarIn(folder: string, signal?: AbortSignal): Promise<Sidecar | undefined> {
  const names = readdirSync(folder).filter(isYaml);
  const path = join(folder, names[0] ?? '');
  return names.length === 1 ? { path, value: await readYaml(path, { signal }) } : undefined;
}

/** What the network predicts, in diffusers' words; undefined where the file does not say it. */
export function predictionOf({ value }: Sidecar): 'epsilon' | 'v_prediction' | undefined {
  const params = section(section(value, 'model'), 'params');
  const { parameterization } = params;
  if (parameterization === 'v') return 'v_prediction';
  // The default of LatentDiffusion.
  if (parameterization === 'eps') return 'epsilon';
  if (
    parameterization === undefined &&
    /\.(?:LatentDiffusion|LatentInpaintDiffusion)$/.test(targetOf(value))
  ) {
    return 'epsilon';
  }
  const scaling = section(section(section(params, 'denoiser_config'), 'params'), 'scaling_config');
  if (/\.VScaling/.test(String(scaling.target))) return 'v_prediction';
  return /\.EpsScaling$/.test(String(scaling.target)) ? 'epsilon' : undefined;
}

/** Latent pixels of the pictures that it was trained on. 64 stands in files of models of 768 pixels, too. */
export function sampleSizeOf({ value }: Sidecar): number | undefined {
  const size = section(section(value, 'model'), 'params').image_size;
  return typeof size === 'number' && Number.isInteger(size) && size > 64 ? size : undefined;
}

/** The configuration as models of latent diffusion and DDPM have it in a config.json: one object. */
export function originalConfig({ value }: Sidecar): JsonObject {
  const model = section(value, 'model');
  if (targetOf(value) !== '') return model;
  return { ...section(value, 'diffusion'), ...section(value, 'data'), ...model };
}

function targetOf(value: Readonly<JsonObject>): string {
  const { target } = section(value, 'model');
  return typeof target === 'string' ? target : '';
}

function section(value: Readonly<JsonObject>, name: string): JsonObject {
  const inner = value[name];
  return typeof inner === 'object' && inner !== null ? (inner as JsonObject) : {};
}
