import { DeepCacheError, invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import type { Tensor } from '../tensor.js';

// Checks of option values: each returns the value, or throws ERR_DEEPCACHE_INVALID_ARGUMENT with the option's name.

export function whole(name: string, value: unknown, fallback: number, min: number, max: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw invalidArgument(name, `must be a whole number from ${min} to ${max}, got ${show(value)}`);
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

/** Throws unless a tensor is what it says and has the shape that is needed; `null` stands for any extent. */
export function checkTensor(name: string, tensor: Tensor, shape: readonly (number | null)[]): Tensor {
  const { data, shape: got } = tensor ?? {};
  const wanted = `[${shape.map((extent) => extent ?? 'any').join(', ')}]`;
  // Not instanceof: arrays may come from another realm (vm contexts, worker messages).
  if (Object.prototype.toString.call(data) !== '[object Float32Array]' || !Array.isArray(got)) {
    throw invalidArgument(name, `must be a tensor { data: Float32Array, shape: ${wanted} }`);
  }
  const fits = got.length === shape.length && got.every((extent, i) => extent === (shape[i] ?? extent));
  if (!fits) throw invalidArgument(name, `must have shape ${wanted}, got [${got.join(', ')}]`);
  const count = got.reduce((product, extent) => product * extent, 1);
  if (data.length !== count) {
    throw invalidArgument(name, `has ${data.length} values, its shape [${got.join(', ')}] needs ${count}`);
  }
  if (!data.every(Number.isFinite)) {
    throw new DeepCacheError('ERR_DEEPCACHE_INVALID_ARGUMENT', `${name} holds values that are not finite`);
  }
  return tensor;
}
