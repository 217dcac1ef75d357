import { type NonuniformList, sampleFromQuad, sampleFromQuadCenter } from '../../lib/deepcache/nonuniform.js';
import { DeepCacheError } from '../../lib/errors.js';
import type { CheckResult } from './schedulers.js';

/** A row of goldens/sd/deepcache_paper/step_lists.json, of either table. */
export interface StepListRow {
  steps: number;
  n_samples: number;
  pow: number;
  /** Only in sample_from_quad_center. */
  interval?: number;
  center?: number;
  /** The expected list, or the error. */
  indices?: number[];
  pow_used?: number;
  error?: string;
  /** A value lies so near a whole number that it may come out one off. */
  fragile?: boolean;
}

/** Whether the schedule of a row is reproduced, errors included. */
export function checkStepList(row: StepListRow): CheckResult {
  let list: NonuniformList;
  try {
    list = compute(row);
  } catch (error) {
    if (!(error instanceof DeepCacheError)) throw error;
    return { ok: row.error !== undefined, detail: error.message };
  }
  const detail = `[${list.indices}] with power ${list.power}, expected ${row.error ?? `[${row.indices}] with ${row.pow_used}`}`;
  const expected = row.indices;
  if (!expected || expected.length !== list.indices.length) return { ok: false, detail };
  const slack = row.fragile ? 1 : 0;
  const same = expected.every((value, i) => Math.abs(value - (list.indices[i] as number)) <= slack);
  const samePower = row.fragile || Math.abs(list.power - (row.pow_used as number)) < 1e-9;
  return { ok: same && samePower, detail };
}

function compute({ steps, interval, center, n_samples: count, pow }: StepListRow): NonuniformList {
  if (center === undefined || interval === undefined) return sampleFromQuad(steps, count, pow);
  return sampleFromQuadCenter(steps, Math.ceil(steps / interval), center, pow);
}
