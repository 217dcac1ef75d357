import { invalidArgument } from '../errors.js';
import { applyRule } from './guidance-rule.js';
import type { Guidance, PerSample } from './table.js';

export type FloatArray = Float32Array | Float64Array;

export function at(value: PerSample, sample: number): number {
  if (typeof value === 'number') return value;
  const own = value[sample];
  if (own === undefined)
    throw invalidArgument('table', `a per-sample value has no entry for sample ${sample}`);
  return own;
}

/**
 * A row's guided output of all samples, as {@link Guidance} says.
 *
 * @param output all samples' first outputs, then their second ones ...
 * @param per values of a sample.
 * @param average the slot of a rule with momentum.
 */
export function guide(
  m: FloatArray,
  output: ArrayLike<number>,
  guidance: Guidance,
  per: number,
  average?: FloatArray,
): void {
  for (let start = 0; start < m.length; start += per) {
    const scale = at(guidance.scale, start / per);
    const rescale = at(guidance.rescale, start / per);
    if (guidance.rule) {
      const part = (from: number) => Array.prototype.slice.call(output, from + start, from + start + per);
      const own = average?.subarray(start, start + per);
      m.set(applyRule(guidance.rule, scale, [part(0), part(m.length)], own), start);
    }
    for (let i = start; i < start + per && !guidance.rule; i++) {
      const first = output[i] as number;
      m[i] = first + scale * ((output[m.length + i] as number) - first);
    }
    if (guidance.third !== undefined) addThird(m, output, at(guidance.third, start / per), start, per);
    if (rescale === 0) continue;
    const ratio = deviation(output, m.length + start, per) / deviation(m, start, per);
    for (let i = start; i < start + per; i++) m[i] = (m[i] as number) * (rescale * ratio + 1 - rescale);
  }
}

function addThird(m: FloatArray, output: ArrayLike<number>, by: number, start: number, per: number): void {
  for (let i = start; i < start + per; i++) {
    m[i] = (m[i] as number) + by * ((output[2 * m.length + i] as number) - (output[i] as number));
  }
}

/** The unbiased standard deviation of `count` values. */
function deviation(values: ArrayLike<number>, start: number, count: number): number {
  let sum = 0;
  for (let i = start; i < start + count; i++) sum += values[i] as number;
  let squares = 0;
  for (let i = start; i < start + count; i++) squares += ((values[i] as number) - sum / count) ** 2;
  return Math.sqrt(squares / (count - 1));
}
