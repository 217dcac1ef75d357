import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { checkNames } from '../names.js';
import type { PartName } from './part.js';

/** How much an adapter counts in the blocks of a U-Net; 1 where nothing is said. */
export interface BlockScales {
  /** One for all blocks of the down path, or one for each of them. */
  down?: number | readonly number[];
  /** Of the block between. */
  mid?: number;
  /** The same of the up path. */
  up?: number | readonly number[];
}

/** How much an adapter counts: one number for all of a pipeline's networks, or one for each; 1 where nothing is said. */
export type LoraScale =
  | number
  | {
      unet?: number | BlockScales;
      textEncoder?: number;
      /** SDXL. */
      textEncoder2?: number;
    };

const PARTS = ['unet', 'textEncoder', 'textEncoder2'] as const;
const BLOCKS = ['down', 'mid', 'up'] as const;
/** Scales beyond make noise of any adapter; it is a slip of the decimal point. */
export const MOST_SCALE = 100;

/** Throws ERR_DEEPCACHE_INVALID_ARGUMENT by the name of what is wrong. Returns a copy, which nobody changes. */
export function checkScale(name: string, scale: unknown): LoraScale {
  if (!isObject(scale)) return number(name, scale);
  checkNames(scale, PARTS, `${name}.`);
  const { unet, ...texts }: { readonly unet?: unknown } = scale;
  for (const [part, value] of Object.entries(texts)) optional(`${name}.${part}`, value);
  if (isObject(unet)) checkBlocks(`${name}.unet`, unet);
  else optional(`${name}.unet`, unet);
  return structuredClone(scale);
}

function checkBlocks(name: string, scales: object): void {
  checkNames(scales, BLOCKS, `${name}.`);
  for (const [block, value] of Object.entries(scales)) {
    if (!Array.isArray(value) || block === 'mid') {
      optional(`${name}.${block}`, value);
      continue;
    }
    for (const [i, one] of value.entries()) number(`${name}.${block}[${i}]`, one);
  }
}

/** Of a weight by its name. */
export function scaleOf(scale: LoraScale, part: PartName, weight: string): number {
  if (typeof scale === 'number') return scale;
  if (part === 'text_encoder') return scale.textEncoder ?? 1;
  if (part === 'text_encoder_2') return scale.textEncoder2 ?? 1;
  const { unet = 1 } = scale;
  if (typeof unet === 'number') return unet;
  const [, path, index] = /^(down|up|mid)_block(?:s\.(\d+))?\./.exec(weight) ?? [];
  if (path === undefined) return 1;
  const own = unet[path as 'down' | 'up' | 'mid'] ?? 1;
  return typeof own === 'number' ? own : (own[Number(index)] ?? 1);
}

/** As settings and messages have it. */
export function scaleText(scale: LoraScale): string {
  return typeof scale === 'number' ? String(scale) : JSON.stringify(scale);
}

function optional(name: string, value: unknown): void {
  if (value !== undefined) number(name, value);
}

function number(name: string, value: unknown): number {
  if (typeof value === 'number' && Math.abs(value) <= MOST_SCALE) return value;
  throw invalidArgument(name, `must be a number from -${MOST_SCALE} to ${MOST_SCALE}, got ${show(value)}`);
}

function isObject<T>(value: T): value is T & object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
