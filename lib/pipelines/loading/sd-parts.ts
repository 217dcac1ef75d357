import { join } from 'node:path';
import { defaultLog } from '../../log.js';
import { AutoencoderKL } from '../../models/autoencoder-kl.js';
import { CLIPTextModel } from '../../models/text-encoder.js';
import { UNet2DConditionModel } from '../../models/unet.js';
import { openBackend } from '../../native/device.js';
import { fitProjection } from '../../previews/fit.js';
import { knownProjection } from '../../previews/projection.js';
import { CLIPTokenizer } from '../../tokenizers/clip-tokenizer.js';
import { checkFit, tellUnknownFields } from './fit.js';
import type { LoadOptions, ModelIndex, SDParts } from './parts.js';
import { repairTexts, unetRepairs } from './repairs.js';
import { loadScheduler } from './scheduler-file.js';
import { loadTogether } from './together.js';

/** Loads the parts of a Stable Diffusion folder. What was loaded before an error is freed. */
export async function loadSDParts(index: ModelIndex, options: LoadOptions): Promise<SDParts> {
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
    return { backend, tokenizer, textEncoder, unet, vae, scheduler, projection, models };
  });
}
