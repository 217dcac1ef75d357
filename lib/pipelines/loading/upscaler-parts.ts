import { DeepCacheError, invalidConfig } from '../../errors.js';
import { defaultLog, type Log } from '../../log.js';
import { DDPMScheduler, type Scheduler } from '../../schedulers/index.js';
import { readFolderFacts } from './folder-facts.js';
import type { FolderFacts, LoadOptions, ModelIndex, SDParts } from './parts.js';
import { readScheduler } from './scheduler-file.js';
import { loadSDParts } from './sd-parts.js';

/** The parts of an x4 upscaler's folder. */
export type UpscalerParts = SDParts & Required<Pick<SDParts, 'lowResScheduler' | 'maxNoiseLevel'>>;

/** Where it says how its small pictures are noised. */
const LOW_RES_FILE = 'low_res_scheduler/scheduler_config.json';

/** Of the published model. */
const MAX_NOISE_LEVEL = 350;

/** The facts of an x4 upscaler's folder, see {@link readFolderFacts}. */
export async function readUpscalerFacts(index: ModelIndex, options: LoadOptions): Promise<FolderFacts> {
  const { facts, scheduler } = await readFolderFacts(index, options);
  const { maxNoiseLevel } = await readLowRes(index, { ...options, log: () => {} });
  return { facts: { ...facts, maxNoiseLevel }, scheduler };
}

/** Loads the parts of an x4 upscaler's folder. What was loaded before an error is freed. */
export async function loadUpscalerParts(index: ModelIndex, options: LoadOptions): Promise<UpscalerParts> {
  const lowRes = await readLowRes(index, options);
  return { ...(await loadSDParts(index, options)), ...lowRes };
}

/** How an x4 upscaler's small pictures are noised. What was not taken from the file is logged. */
export async function readLowRes(
  { source, className: pipeline, value }: ModelIndex,
  { signal, log = defaultLog }: { signal?: AbortSignal | undefined; log?: Log | undefined },
): Promise<{ lowResScheduler: Scheduler; maxNoiseLevel: number }> {
  const { scheduler, ignored, notes } = await readScheduler(source, { pipeline, signal }, LOW_RES_FILE);
  for (const message of [...ignored, ...notes]) log(message);
  if (!(scheduler instanceof DDPMScheduler)) {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_UNSUPPORTED',
      `${source.jsonPath(LOW_RES_FILE)} is a ${scheduler.className}; pictures are noised as DDPMScheduler does it`,
    );
  }
  const { max_noise_level: most = MAX_NOISE_LEVEL } = value;
  if (typeof most === 'number' && Number.isInteger(most) && most >= 0 && most < scheduler.trainSteps) {
    return { lowResScheduler: scheduler, maxNoiseLevel: most };
  }
  throw invalidConfig(
    source.jsonPath('model_index.json'),
    `"max_noise_level" must be a whole number below ${scheduler.trainSteps}, the steps of the low_res_scheduler`,
  );
}
