import { basename } from 'node:path';
import { defaultLog } from '../../log.js';
import { AutoencoderKL } from '../../models/autoencoder-kl.js';
import type { NetworkFiles } from '../../models/model-files.js';
import { CLIPTextModel } from '../../models/text-encoder.js';
import { openBackend } from '../../native/device.js';
import { fitProjection } from '../../previews/fit.js';
import { knownProjection } from '../../previews/projection.js';
import { checkFit, tellUnknownFields } from './fit.js';
import { findMotionAdapter, loadUnet } from './motion-parts.js';
import type { LoadOptions, ModelIndex, SDParts } from './parts.js';
import { loadPreviewVae } from './preview-vae.js';
import { repairTexts, UPSCALER, unetRepairs, vaeRepairs } from './repairs.js';
import { loadScheduler } from './scheduler-file.js';
import { loadTogether } from './together.js';

/** Loads the parts of a Stable Diffusion folder. What was loaded before an error is freed. */
export async function loadSDParts(index: ModelIndex, options: LoadOptions): Promise<SDParts> {
  const { log = defaultLog, variant, signal } = options;
  const backend = openBackend(options);
  const { source } = index;
  if (Array.isArray(index.value.safety_checker) && index.value.safety_checker[0] !== null) {
    log(`${source.jsonPath('safety_checker')} is ignored: pictures are not checked for their content`);
  }
  const scheduler = await loadScheduler(index, options);
  const tokenizer = await source.tokenizer('tokenizer', { signal });
  const repairOf = (part: string, repairsOf: typeof unetRepairs) => (config: NetworkFiles['config']) => {
    const repairs = repairsOf(index.className, config);
    const path = source.jsonPath(`${part}/config.json`);
    for (const text of repairTexts(config, repairs)) log(`${path}: ${text}`);
    return repairs;
  };
  return loadTogether(async (keep, models) => {
    const find = { variant, signal, log };
    const previewVae = await loadPreviewVae(backend, index, options, keep);
    const textEncoder = await keep(
      CLIPTextModel.load(backend, await source.network('text_encoder', find), {
        signal,
        keepWeights: options.unloadTextEncoder !== true,
      }),
    );
    const motion = await findMotionAdapter(index, options);
    const unet = await keep(
      loadUnet(backend, await source.network('unet', find), motion, {
        signal,
        repair: repairOf('unet', unetRepairs),
      }),
    );
    const vae = await keep(
      AutoencoderKL.load(backend, await source.network('vae', find), {
        signal,
        // As in diffusers, of these pipelines this one alone.
        upcast: index.className === UPSCALER,
        repair: repairOf('vae', vaeRepairs),
      }),
    );
    checkFit(source.place, { tokenizer, textEncoder, unet, vae });
    tellUnknownFields(source, { unet, vae }, log);
    const projection = options.fitPreviews ? await fitProjection(vae, signal) : knownProjection(vae);
    const motionAdapter = motion && basename(motion.place);
    const own = { tokenizer, textEncoder, unet, vae, scheduler, projection, motionAdapter };
    return { backend, ...own, previewVae, models };
  });
}
