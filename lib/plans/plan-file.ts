import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DeepCacheError, invalidConfig, messageOf } from '../errors.js';
import { writeFileAtomic } from '../files/atomic-write.js';
import { readJson } from '../files/json.js';
import { isFolder } from '../files/read.js';
import { show } from '../messages.js';
import { isSameRun, type SavedPlan, toSavedPlan } from './saved-plan.js';

const NAME = 'deepcache-plans.json';
/** Of the file's layout: a later version may need another one. */
const FORMAT = 1;
/** Bytes of a file with thousands of plans. */
const LARGEST = 2 ** 22;

/** The plans that a file has for a model. */
export interface PlanFile {
  readonly path: string;
  /** That of the model whose runs were measured. */
  readonly fingerprint: string;
  readonly plans: readonly SavedPlan[];
}

/** Where a model's plans are: in its folder, or beside its single file, under the file's name. */
export function planPath(place: string): string {
  return isFolder(place) ? join(place, NAME) : `${place.replace(/\.[^./\\]+$/, '')}.${NAME}`;
}

/**
 * Reads the plans of a model.
 *
 * @param place the model's folder or single file.
 * @returns undefined where there is no such file.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG naming the file.
 */
export async function readPlans(place: string, signal?: AbortSignal): Promise<PlanFile | undefined> {
  const path = planPath(place);
  if (!existsSync(path)) return undefined;
  const { value } = await readJson(path, { max: LARGEST, ...(signal && { signal }) });
  const { format, model, plans } = value;
  if (format !== FORMAT) {
    throw invalidConfig(path, `"format" must be ${FORMAT}, which this version knows, got ${show(format)}`);
  }
  if (typeof model !== 'string') throw invalidConfig(path, '"model" must be the fingerprint of a model');
  if (!Array.isArray(plans)) throw invalidConfig(path, '"plans" must be a list');
  try {
    return { path, fingerprint: model, plans: plans.map((plan, i) => toSavedPlan(plan, `plans[${i}]`)) };
  } catch (error) {
    throw invalidConfig(path, messageOf(error), { cause: error });
  }
}

/**
 * Adds a plan to those of a model; it replaces what there was of the same preset for the same runs, and all that was found for
 * another model.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_OUTPUT naming a file that cannot be written; what {@link readPlans} throws.
 */
export async function savePlan(place: string, fingerprint: string, plan: SavedPlan): Promise<PlanFile> {
  const known = await readPlans(place);
  const kept = known?.fingerprint === fingerprint ? known.plans : [];
  const others = kept.filter(({ preset, run }) => preset !== plan.preset || !isSameRun(run, plan.run));
  const plans = [...others, plan];
  const path = planPath(place);
  try {
    await writeFileAtomic(
      path,
      `${JSON.stringify({ format: FORMAT, model: fingerprint, plans }, null, 1)}\n`,
    );
  } catch (error) {
    const why = `${path} cannot be written: ${messageOf(error)}`;
    throw new DeepCacheError('ERR_DEEPCACHE_OUTPUT', why, { cause: error });
  }
  return { path, fingerprint, plans };
}
