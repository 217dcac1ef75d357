import { readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import { invalidConfig } from '../errors.js';

const ENDINGS = ['.safetensors', '.ckpt', '.pt', '.pth', '.bin'];

/**
 * A path that may be that of a file of weights; what is in it is looked at when it is opened.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG for a file of another kind.
 */
export function weightsFile(path: string): string {
  if (ENDINGS.includes(extname(path).toLowerCase())) return path;
  const way = `a model is a folder in the diffusers layout, or a single file (${ENDINGS.join(', ')})`;
  throw invalidConfig(
    path,
    extname(path) === '.gguf' ? `is a GGUF file, which is not read; ${way}` : `is a file; ${way}`,
  );
}

/**
 * The weights that lie in a folder that is not a model: the only file of them, or the only safetensors file.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG where there are several.
 */
export function onlyWeightsIn(folder: string): string | undefined {
  const all = readdirSync(folder).filter((name) => ENDINGS.includes(extname(name).toLowerCase()));
  const safe = all.filter((name) => extname(name).toLowerCase() === '.safetensors');
  const files = (safe.length > 0 ? safe : all).sort().map((name) => join(folder, name));
  if (files.length > 1) {
    const more = files.length > 8 ? ' …' : '';
    throw invalidConfig(
      folder,
      `holds several files of weights; give one: ${files.slice(0, 8).join(', ')}${more}`,
    );
  }
  return files[0];
}
