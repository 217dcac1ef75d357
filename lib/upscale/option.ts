import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { checkNames } from '../names.js';
import { real, whole } from '../options/checks.js';
import type { UpscaleOptions, Upscaler } from './upscaler.js';

/** How pictures are enlarged by a network once they are made. */
export interface Upscale extends Pick<UpscaleOptions, 'tile' | 'tilePad'> {
  /** An {@link Upscaler}, or the path of its file. */
  upscaler: Upscaler | string;
  /** How much larger they become in each axis, 1 to 16. Default: as much as the network makes them. */
  scale?: number;
  /** Their width instead, in pixels; with a height. */
  width?: number;
  /** Their height, with a width. */
  height?: number;
}

/** An option's value: settings, or what stands for them alone. */
export type UpscaleGiven = Upscale | Upscaler | string;

const NAMES = ['upscaler', 'scale', 'width', 'height', 'tile', 'tilePad'];
/** Pixels in an axis. */
export const MOST_UPSCALED = 16_384;

/** Whether it is an {@link Upscaler}, or the path of one. */
export function isUpscaler(given: unknown): given is Upscaler | string {
  return (
    (typeof given === 'string' && given !== '') ||
    typeof (given as Partial<Upscaler> | null)?.upscale === 'function'
  );
}

export function upscaleOf(given: UpscaleGiven): Upscale {
  return isUpscaler(given) ? { upscaler: given } : given;
}

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the field. */
export function checkUpscale(name: string, value: unknown): void {
  if (isUpscaler(value)) return;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgument(
      name,
      `must be an Upscaler, the path of its file, or an object such as { upscaler: 'x4.pth', scale: 2 }, got ${show(value)}`,
    );
  }
  checkNames(value, NAMES, `${name}.`);
  const { upscaler, scale, width, height, tile, tilePad } = value as Upscale;
  if (!isUpscaler(upscaler)) {
    throw invalidArgument(
      `${name}.upscaler`,
      `must be an Upscaler or the path of its file, got ${show(upscaler)}`,
    );
  }
  real(`${name}.scale`, scale, 1, 1, 16);
  whole(`${name}.width`, width, 1, 1, MOST_UPSCALED);
  whole(`${name}.height`, height, 1, 1, MOST_UPSCALED);
  whole(`${name}.tile`, tile, 0, 0, MOST_UPSCALED);
  whole(`${name}.tilePad`, tilePad, 0, 0, MOST_UPSCALED);
  if ((width === undefined) !== (height === undefined))
    throw invalidArgument(
      `${name}.${width === undefined ? 'width' : 'height'}`,
      'is missing: both make a size',
    );
  if (width !== undefined && scale !== undefined)
    throw invalidArgument(`${name}.scale`, 'and a width and a height exclude each other');
}
