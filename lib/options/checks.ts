import { DeepCacheError, invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { forEachIndex, inSlices } from '../slices.js';
import type { Tensor } from '../tensor.js';

// Checks of option values: each returns the value, or throws ERR_DEEPCACHE_INVALID_ARGUMENT with the option's name.

export function whole(name: string, value: unknown, fallback: number, min: number, max: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw invalidArgument(name, `must be a whole number from ${min} to ${max}, got ${show(value)}`);
}

/** Node.js ends longer waits at once. */
const MOST_SECONDS = 2_000_000;

/** A time that is waited for. */
export function seconds(name: string, value: unknown, fallback: number): number {
  return whole(name, value, fallback, 0, MOST_SECONDS);
}

export function real(name: string, value: unknown, fallback: number, min: number, max: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && value >= min && value <= max) return value;
  throw invalidArgument(name, `must be a number from ${min} to ${max}, got ${show(value)}`);
}

export function flag(name: string, value: unknown): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw invalidArgument(name, `must be true or false, got ${show(value)}`);
}

/** AbortSignal.any takes the platform's own only. */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalidArgument('signal', `must be an AbortSignal, got ${show(signal)}`);
  }
}

export function callable(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') {
    throw invalidArgument(name, `must be a function, got ${show(value)}`);
  }
}

/** Values of a tensor that are looked at in one go. */
const FEW = 2 ** 17;

/**
 * Throws unless a tensor is what it says and has the shape that is needed; `null` stands for any extent. The values of a
 * large one are left to {@link checkTensor}.
 *
 * @param extents how messages call the axes.
 */
export function requireTensor(
  name: string,
  tensor: Tensor,
  shape: readonly (number | null)[],
  extents: readonly string[] = shape.map((extent) => String(extent ?? 'any')),
): Tensor {
  const { data, shape: got } = tensor ?? {};
  // Not instanceof: arrays may come from another realm (vm contexts, worker messages).
  if (Object.prototype.toString.call(data) !== '[object Float32Array]' || !Array.isArray(got)) {
    throw invalidArgument(
      name,
      `must be a tensor { data: Float32Array, shape: [${extents.join(', ')}] }, got ${show(tensor)}`,
    );
  }
  requireShape(name, tensor, shape, extents);
  const count = got.reduce((product, extent) => product * extent, 1);
  if (data.length !== count) {
    throw invalidArgument(name, `has ${data.length} values, its shape [${got.join(', ')}] needs ${count}`);
  }
  for (let i = 0; data.length <= FEW && i < data.length; i++) requireFinite(name, data[i] as number);
  return tensor;
}

/** The same with all values, for what is about to be used. */
export async function checkTensor(
  name: string,
  tensor: Tensor,
  shape: readonly (number | null)[],
  signal?: AbortSignal,
): Promise<Tensor> {
  const { data } = requireTensor(name, tensor, shape);
  if (data.length <= FEW) return tensor;
  await inSlices(
    forEachIndex(data.length, (i) => requireFinite(name, data[i] as number)),
    signal,
  );
  return tensor;
}

function requireFinite(name: string, value: number): void {
  if (Number.isFinite(value)) return;
  throw new DeepCacheError('ERR_DEEPCACHE_INVALID_ARGUMENT', `${name} holds values that are not finite`);
}

/** The same for the shape of what is a tensor. */
export function requireShape(
  name: string,
  { shape: got }: Tensor,
  shape: readonly (number | null)[],
  extents: readonly string[] = shape.map((extent) => String(extent ?? 'any')),
): void {
  const isExtent = (extent: unknown) => Number.isInteger(extent) && (extent as number) > 0;
  const fits =
    got.length === shape.length &&
    got.every((extent, i) => isExtent(extent) && extent === (shape[i] ?? extent));
  if (!fits) throw invalidArgument(name, `must have shape [${extents.join(', ')}], got ${show(got)}`);
}

/** The shapes of those tensors among options that were given. */
export function requireShapes(
  options: object,
  shapes: Readonly<Record<string, readonly (number | null)[]>>,
): void {
  for (const [name, shape] of Object.entries(shapes)) {
    const tensor = (options as Readonly<Record<string, Tensor | undefined>>)[name];
    if (tensor) requireShape(name, tensor, shape);
  }
}

/** Of a text. A model reads the first hundreds, with longPrompts some hundred thousand. */
const MOST_CHARACTERS = 2 ** 21;

/** A text or a list of them, as a list. */
export function texts(name: string, value: unknown): readonly string[] | undefined {
  if (value === undefined || value === null) return undefined;
  const list = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list) || list.length === 0 || !list.every((text) => typeof text === 'string')) {
    throw invalidArgument(name, `must be a string or a list of strings, got ${show(value)}`);
  }
  const longest = list.reduce((most, text) => Math.max(most, text.length), 0);
  if (longest > MOST_CHARACTERS) {
    throw invalidArgument(name, `has ${longest} characters; at most ${MOST_CHARACTERS}`);
  }
  return list;
}

/** One text, or `count` of them. */
export function textList(name: string, value: unknown, count: number): readonly string[] | undefined {
  const list = texts(name, value);
  if (!list || list.length === count) return list;
  throw invalidArgument(name, `has ${list.length} texts, ${count} are needed`);
}
