import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { checkNames } from '../names.js';

/**
 * FreeU's factors (Si et al. 2023; diffusers: enable_freeu): in the first and in the second up block `b1` and `b2` of
 * half of the backbone's channels, `s1` and `s2` of the low frequencies of what skips it. As published: SD 1.x b1 1.5,
 * b2 1.6, s1 0.9, s2 0.2; SD 2.1 1.4, 1.6, 0.9, 0.2; SDXL 1.3, 1.4, 0.9, 0.2. A 0 among them turns it off.
 */
export interface FreeU {
  /** Of the backbone in the first up block. */
  readonly b1: number;
  /** Of the backbone in the second up block. */
  readonly b2: number;
  /** Of the skips in the first up block. */
  readonly s1: number;
  /** Of the skips in the second up block. */
  readonly s2: number;
}

const NAMES = ['b1', 'b2', 's1', 's2'] as const;
/** The largest factor. */
export const MOST_FACTOR = 100;

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the factor that is none. */
export function checkFreeU(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgument(name, `must be { b1, b2, s1, s2 }, got ${show(value)}`);
  }
  checkNames(value, NAMES, `${name}.`);
  for (const field of NAMES) {
    const factor = (value as Readonly<Record<string, unknown>>)[field];
    if (typeof factor === 'number' && factor >= 0 && factor <= MOST_FACTOR) continue;
    throw invalidArgument(
      `${name}.${field}`,
      `must be a number from 0 to ${MOST_FACTOR}, got ${show(factor)}`,
    );
  }
}

/** What a run uses of its option; undefined: none. */
export function freeUOf(option: FreeU | false | undefined): FreeU | undefined {
  // diffusers takes 0 for "not set".
  return option && NAMES.every((name) => option[name] !== 0) ? option : undefined;
}

/** What a picture's settings say of it. */
export function freeUFields(option: FreeU | false | undefined): Readonly<Record<string, unknown>> {
  const factors = freeUOf(option);
  if (!factors) return {};
  return { FreeU: JSON.stringify(Object.fromEntries(NAMES.map((name) => [name, factors[name]]))) };
}
