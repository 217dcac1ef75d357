import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import type { Tiling } from '../models/tiling.js';
import { checkNames } from '../names.js';
import { whole } from './checks.js';

/** In image pixels, multiples of 8. */
export interface VaeTilingOptions {
  /** Side of a tile. Default: what the autoencoder was trained on, 512 for SD 1.5. */
  tileSize?: number;
  /** What neighbours share and fade over in, at most half of a tile. Default: a quarter. */
  overlap?: number;
}

const MAX_TILE = 16384;

/**
 * Reads the option `vaeTiling`.
 *
 * @param tileSize the autoencoder's own.
 * @param scale image pixels of a latent one.
 */
export function toTiling(
  value: unknown,
  { tileSize, scale }: { tileSize: number; scale: number },
): Tiling | undefined {
  if (value === undefined || value === false) return undefined;
  if (value !== true && (typeof value !== 'object' || value === null || Array.isArray(value))) {
    throw invalidArgument('vaeTiling', `must be true, false or { tileSize, overlap }, got ${show(value)}`);
  }
  const settings: VaeTilingOptions & object = value === true ? {} : value;
  checkNames(settings, ['tileSize', 'overlap'], 'vaeTiling.');
  const tile = whole('vaeTiling.tileSize', settings.tileSize, tileSize, 4 * scale, MAX_TILE);
  const quarter = Math.floor(tile / (4 * scale)) * scale;
  const overlap = whole('vaeTiling.overlap', settings.overlap, quarter, 0, tile / 2);
  for (const [name, number] of Object.entries({ tileSize: tile, overlap })) {
    if (number % scale !== 0) {
      throw invalidArgument(`vaeTiling.${name}`, `must be a multiple of ${scale}, got ${number}`);
    }
  }
  return { tile, overlap };
}
