import { join } from 'node:path';
import { invalidArgument } from '../errors.js';
import { defaultLog, type Log } from '../log.js';
import { show } from '../messages.js';
import { AutoencoderKL } from '../models/autoencoder-kl.js';
import { CLIPTextModel } from '../models/text-encoder.js';
import { UNet2DConditionModel } from '../models/unet.js';
import { checkNames } from '../names.js';
import { type Device, openBackend } from '../native/device.js';
import type { NativeBackend } from '../native/types.js';
import { fitProjection } from '../previews/fit.js';
import { knownProjection, type LatentProjection } from '../previews/projection.js';
import type { Scheduler } from '../schedulers/index.js';
import { CLIPTokenizer } from '../tokenizers/clip-tokenizer.js';
import { checkMaxPending } from './call-queue.js';
import { callable, checkSignal, flag } from './checks.js';
import { checkFit, tellUnknownFields } from './fit.js';
import type { GenerationDefaults } from './generation-config.js';
import { loadTogether } from './loading.js';
import type { ModelIndex } from './model-index.js';
import type { ModelName } from './model-name.js';
import { repairTexts, unetRepairs } from './repairs.js';
import { loadScheduler, type SchedulerChoice } from './scheduler-file.js';

export type Dtype = 'auto' | 'fp32' | 'fp16' | 'bf16';

export interface LoadOptions {
  /** 'auto' (default) takes the first usable GPU, else the CPU. */
  device?: Device;
  /** Type of the GPU's arithmetic. The CPU always computes in fp32. */
  dtype?: Dtype;
  /** CPU threads; by default one for each core that the process may use. */
  threads?: number;
  /** Measures the GPU's fastest tiles in the first run of a size and keeps them; see DeviceOptions. Default false. */
  autotune?: boolean;
  /** Another sampler than the folder's: a name, a configuration or a scheduler. */
  scheduler?: SchedulerChoice;
  /** Prefer weight files of this variant, such as 'fp16'. */
  variant?: string;
  /**
   * Frees the text encoder after each use and reads it again from its files for the next one, which must still be
   * there. Default false.
   */
  unloadTextEncoder?: boolean;
  /**
   * Fits the colours of previews to this very autoencoder, which takes less than a step. Default false: the published
   * numbers are taken for the autoencoders of SD 1.x, 2.x and XL; others are fitted at their first preview.
   */
  fitPreviews?: boolean;
  /** How many calls may wait or run at once; see {@link DiffusionPipeline.maxPending}. By default any number. */
  maxPending?: number;
  /** Where remarks go; standard error by default. */
  log?: Log;
  signal?: AbortSignal;
}

/** What every pipeline is made of. */
export interface PipelineParts {
  readonly backend: NativeBackend;
  readonly scheduler: Scheduler;
  readonly unet: UNet2DConditionModel;
  /** What the folder recommends for its runs. */
  readonly defaults?: GenerationDefaults;
  /** What tells the model from others. */
  readonly model?: ModelName;
  /** All loaded models; the last pipeline's dispose frees them. */
  readonly models: readonly { dispose(): void }[];
  /** How many pipelines share these models. */
  users: number;
}

/** The parts of a Stable Diffusion folder. */
export interface Components extends PipelineParts {
  readonly tokenizer: CLIPTokenizer;
  readonly textEncoder: CLIPTextModel;
  readonly vae: AutoencoderKL;
  /** Colours of previews; undefined until they are needed where they have to be fitted. */
  projection: LatentProjection | undefined;
}

/** Loads the parts of a Stable Diffusion folder. What was loaded before an error is freed. */
export async function loadComponents(index: ModelIndex, options: LoadOptions): Promise<Components> {
  const { log = defaultLog, variant, signal } = options;
  const backend = openBackend(options);
  const { folder } = index;
  if (Array.isArray(index.value.safety_checker) && index.value.safety_checker[0] !== null) {
    log(`${join(folder, 'safety_checker')} is ignored: pictures are not checked for their content`);
  }
  const scheduler = await loadScheduler(index, options);
  const tokenizer = await CLIPTokenizer.fromPretrained(join(folder, 'tokenizer'), { signal });
  return loadTogether(async (keep, models) => {
    const load = { variant, signal, log };
    const textEncoder = await keep(
      CLIPTextModel.load(backend, join(folder, 'text_encoder'), {
        ...load,
        keepWeights: options.unloadTextEncoder !== true,
      }),
    );
    const unet = await keep(
      UNet2DConditionModel.load(backend, join(folder, 'unet'), {
        ...load,
        repair: (config) => {
          const repairs = unetRepairs(index.className, config);
          const path = join(folder, 'unet', 'config.json');
          for (const text of repairTexts(config, repairs)) log(`${path}: ${text}`);
          return repairs;
        },
      }),
    );
    const vae = await keep(AutoencoderKL.load(backend, join(folder, 'vae'), load));
    checkFit(folder, { tokenizer, textEncoder, unet, vae });
    tellUnknownFields(folder, { unet, vae }, log);
    const projection = options.fitPreviews ? await fitProjection(vae, signal) : knownProjection(vae);
    return { backend, tokenizer, textEncoder, unet, vae, scheduler, projection, models, users: 0 };
  });
}

const LOAD_OPTIONS = [
  'device',
  'dtype',
  'threads',
  'autotune',
  'scheduler',
  'variant',
  'unloadTextEncoder',
  'fitPreviews',
  'maxPending',
  'log',
  'signal',
];

/**
 * Checks what {@link openBackend} and {@link chooseScheduler} do not.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option.
 */
export function checkLoadOptions(options: LoadOptions): void {
  if (typeof options !== 'object' || options === null) throw invalidArgument('options', 'must be an object');
  checkNames(options, LOAD_OPTIONS);
  const { dtype = 'auto', variant, log, signal } = options;
  if (!['auto', 'fp32', 'fp16', 'bf16'].includes(dtype)) {
    throw invalidArgument('dtype', `must be 'auto', 'fp32', 'fp16' or 'bf16', got ${show(dtype)}`);
  }
  if (variant !== undefined && (typeof variant !== 'string' || !/^[\w-]+$/.test(variant))) {
    throw invalidArgument('variant', `must be part of a file name, such as 'fp16', got ${show(variant)}`);
  }
  flag('autotune', options.autotune);
  flag('unloadTextEncoder', options.unloadTextEncoder);
  flag('fitPreviews', options.fitPreviews);
  if (options.maxPending !== undefined) checkMaxPending(options.maxPending);
  callable('log', log);
  checkSignal(signal);
}
