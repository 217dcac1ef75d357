import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { invalidArgument, invalidConfig } from '../errors.js';
import { expandHome } from '../files/home.js';
import { isFolder, readSmallFile, statOf } from '../files/read.js';
import { onlyWeightsIn, weightsFile } from './checkpoint-file.js';
import { meantFolder } from './demo-model.js';

/** Where a model is. */
export interface ModelPlace {
  /** A folder that its layout can be read from: with a model_index.json or, unchecked, a config.json; or a file's. */
  folder: string;
  /** A single file with the weights. */
  file?: string;
  /** What was done to find it, for the log. */
  remark?: string;
}

const INDEX = 'model_index.json';
/** Subfolders that are looked into. */
const MOST_FOLDERS = 1000;

/**
 * The folder of the model that a caller names: `'demo'`, a folder, its model_index.json, a folder of the Hugging Face
 * cache (`models--org--name`), a folder that holds exactly one model, or a single file of weights.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG saying what the path is instead, and the way from there.
 */
export async function locateModel(given: string, signal?: AbortSignal): Promise<ModelPlace> {
  if (typeof given !== 'string' || given === '') {
    throw invalidArgument('model', 'must be the path of a folder in the diffusers layout');
  }
  const path = expandHome(meantFolder(given));
  const stats = statOf(path);
  if (!stats) throw invalidConfig(path, 'does not exist');
  if (!stats.isDirectory()) {
    if (basename(path) === INDEX) return { folder: dirname(path) };
    return { folder: dirname(path), file: weightsFile(path) };
  }
  if (existsSync(join(path, INDEX))) return { folder: path };
  if (isCache(path)) {
    const folder = await snapshotOf(path, signal);
    return { ...placeIn(folder), remark: `${path}: the model is the snapshot ${basename(folder)}` };
  }
  if (existsSync(join(path, 'config.json'))) return { folder: path };
  const inside = await modelsInside(path, signal);
  const [only] = inside;
  if (only && inside.length === 1) return { ...placeIn(only), remark: `${path}: the model is in ${only}` };
  if (inside.length > 1) throw invalidConfig(path, `holds several models; give one: ${listed(inside)}`);
  const file = onlyWeightsIn(path);
  if (file) return { folder: path, file, remark: `${path}: the model is ${file}` };
  throw invalidConfig(path, `has no ${INDEX}; a model is a folder in the diffusers layout, or a single file`);
}

function isCache(path: string): boolean {
  return (
    existsSync(join(path, 'snapshots')) &&
    (existsSync(join(path, 'refs')) || /^models--/.test(basename(path)))
  );
}

/** The snapshot that `main` stands for, or the only one. */
async function snapshotOf(path: string, signal?: AbortSignal): Promise<string> {
  const all = foldersIn(join(path, 'snapshots'));
  const main = join(path, 'refs/main');
  let folder = all.length === 1 ? all[0] : undefined;
  if (existsSync(main)) {
    const name = (await readSmallFile(main, 256, { signal })).toString('utf8').trim();
    folder = all.find((snapshot) => basename(snapshot) === name);
    if (!folder) {
      throw invalidConfig(
        path,
        `has no snapshot ${JSON.stringify(name)}, which refs/main names; download it again`,
      );
    }
  }
  if (!folder) {
    throw invalidConfig(
      path,
      all.length === 0 ? 'has no snapshot; download it again' : `give one: ${listed(all)}`,
    );
  }
  return folder;
}

/** A folder that was found: a model, or what holds one in a single file. */
function placeIn(folder: string): ModelPlace {
  if ([INDEX, 'config.json'].some((name) => existsSync(join(folder, name)))) return { folder };
  const file = onlyWeightsIn(folder);
  if (file) return { folder, file };
  throw invalidConfig(
    folder,
    `has no ${INDEX}; the download is incomplete, or this is not a diffusers model`,
  );
}

/** Models directly below a folder. */
async function modelsInside(path: string, signal?: AbortSignal): Promise<string[]> {
  const models: string[] = [];
  for (const folder of foldersIn(path)) {
    if (existsSync(join(folder, INDEX))) models.push(folder);
    else if (isCache(folder)) models.push(await snapshotOf(folder, signal));
  }
  return models;
}

function foldersIn(path: string): string[] {
  if (!isFolder(path)) return [];
  const names = readdirSync(path).slice(0, MOST_FOLDERS).sort();
  return names.map((name) => join(path, name)).filter(isFolder);
}

function listed(folders: readonly string[]): string {
  return folders.slice(0, 8).join(', ') + (folders.length > 8 ? ' …' : '');
}
