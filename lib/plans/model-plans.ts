import type { CacheOptions, CachePreset, ListedCache, PlannedCache } from '../deepcache/index.js';
import { invalidArgument } from '../errors.js';
import type { Log } from '../log.js';
import { readPlans, savePlan } from './plan-file.js';
import {
  isSameRun,
  type PlanFigures,
  type PlannedRun,
  requireUngated,
  type SavedPlan,
} from './saved-plan.js';

/** What `tune` found for a preset. */
export interface FoundPlan {
  /** The option to use. */
  readonly cache: ListedCache | PlannedCache;
  /** How many times as fast as without a cache. */
  readonly speedup: number;
  /** The runs that it was found for; undefined for those that no plan can be for. */
  readonly run: PlannedRun | undefined;
  /** On prompts that the search had not seen. */
  readonly validation: Omit<PlanFigures, 'speedup'> | undefined;
  /** As many steps as take that time, all in full. */
  readonly fewerSteps?: { readonly steps: number; readonly psnr: number } | undefined;
}

/** The plans of a model: what presets of the cache stand for in runs of the kind that they were found for. */
export class ModelPlans {
  #plans: readonly SavedPlan[];

  constructor(
    private readonly place: string,
    private readonly fingerprint: string,
    plans: readonly SavedPlan[],
  ) {
    this.#plans = plans;
  }

  /**
   * The plans of a model's file, which may be missing. Those of another model are not used: the log says so.
   *
   * @param place the model's folder or single file.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG naming the file.
   */
  static async of(place: string, fingerprint: string, log: Log, signal?: AbortSignal): Promise<ModelPlans> {
    const file = await readPlans(place, signal);
    const isOther = file !== undefined && file.fingerprint !== fingerprint;
    if (isOther)
      log(`${file.path}: is not used: its plans were found for another model (${file.fingerprint})`);
    return new ModelPlans(place, fingerprint, isOther ? [] : (file?.plans ?? []));
  }

  /** All of them. */
  get list(): readonly SavedPlan[] {
    return this.#plans;
  }

  /** The cache options of a run: a plan in the place of a preset that has one. */
  resolve(cache: CacheOptions | undefined, run: PlannedRun | undefined): CacheOptions | undefined {
    if (typeof cache !== 'string' || !run) return cache;
    return (
      this.#plans.find(({ preset, run: planned }) => preset === cache && isSameRun(planned, run))?.cache ??
      cache
    );
  }

  /**
   * Makes what `tune` found what a preset stands for, from the next run on and, in a file beside the model, for those who load it.
   *
   * ```ts
   * const found = await tune(pipe, options, { preset: 'balanced' }, { prompts, validationPrompts });
   * await pipe.plans?.save('balanced', found);
   * ```
   *
   * @returns the file's path.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for what beats neither equal intervals nor fewer steps on other prompts,
   * has a gate, or was found with options that make every run another one; ERR_DEEPCACHE_OUTPUT where the file cannot be written.
   */
  async save(
    preset: CachePreset,
    { cache, speedup, run, validation, fewerSteps }: FoundPlan,
  ): Promise<string> {
    requireUngated(cache, 'result.cache');
    if (!run) {
      throw invalidArgument(
        'result',
        'is for runs with a schedule, guidance, FreeU, networks or size of their own; plans are for those that say steps, guidance scale and size alone',
      );
    }
    if (!validation) throw invalidArgument('result', 'was not tried on other prompts: there was no time');
    const { psnr, worst, evenPsnr, evenWorst, prompts } = validation;
    if (!(psnr > evenPsnr))
      throw invalidArgument('result', 'is no better than equal intervals on other prompts');
    if (fewerSteps && fewerSteps.psnr >= psnr) {
      throw invalidArgument(
        'result',
        `is no better than ${fewerSteps.steps} steps without a cache on other prompts`,
      );
    }
    const plan = { preset, run, cache, figures: { speedup, psnr, worst, evenPsnr, evenWorst, prompts } };
    const file = await savePlan(this.place, this.fingerprint, plan);
    this.#plans = file.plans;
    return file.path;
  }
}
