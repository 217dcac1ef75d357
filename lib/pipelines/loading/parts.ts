import { join } from 'node:path';
import { defaultLog } from '../../log.js';
import { AutoencoderKL } from '../../models/autoencoder-kl.js';
import { CLIPTextModel } from '../../models/text-encoder.js';
import { UNet2DConditionModel } from '../../models/unet.js';
import { openBackend } from '../../native/device.js';
import type { NativeBackend } from '../../native/types.js';
import type { OptionsOf } from '../../options/spec/index.js';
import { fitProjection } from '../../previews/fit.js';
import { knownProjection, type LatentProjection } from '../../previews/projection.js';
import type { Scheduler } from '../../schedulers/index.js';
import { CLIPTokenizer } from '../../tokenizers/clip-tokenizer.js';
import { checkFit, tellUnknownFields } from './fit.js';
import type { GenerationDefaults } from './generation-config.js';
import type { ModelIndex } from './model-index.js';
import type { ModelName } from './model-name.js';
import { repairTexts, unetRepairs } from './repairs.js';
import { loadScheduler } from './scheduler-file.js';
import { loadTogether } from './together.js';

/** What loading a model takes. */
export interface LoadOptions extends OptionsOf<'load'> {}

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
