import { at, type FloatArray } from './guide.js';
import type { StepRow } from './table.js';

/** What a row takes for the clean latents: its sum, clamped or dynamically thresholded per sample. */
export function estimateX0(
  x0: FloatArray,
  x: FloatArray,
  m: FloatArray,
  stage: StepRow['x0'],
  per: number,
): void {
  for (let start = 0; start < x.length; start += per) {
    const p = at(stage.x, start / per);
    const q = at(stage.m, start / per);
    for (let i = start; i < start + per; i++) x0[i] = p * (x[i] as number) + q * (m[i] as number);
    const sample = x0.subarray(start, start + per);
    if (stage.threshold) {
      const { ratio, max } = stage.threshold;
      const limit = Math.min(Math.max(quantile(sample.map(Math.abs), ratio), 1), max);
      clamp(sample, limit);
      for (let i = 0; i < per; i++) sample[i] = (sample[i] as number) / limit;
    } else if (stage.clamp !== undefined) {
      clamp(sample, stage.clamp);
    }
  }
}

function clamp(values: FloatArray, limit: number): void {
  for (let i = 0; i < values.length; i++) values[i] = Math.min(Math.max(values[i] as number, -limit), limit);
}

function quantile(values: FloatArray, ratio: number): number {
  values.sort();
  const rank = ratio * (values.length - 1);
  const below = values[Math.floor(rank)] as number;
  return below + (rank - Math.floor(rank)) * ((values[Math.ceil(rank)] as number) - below);
}
