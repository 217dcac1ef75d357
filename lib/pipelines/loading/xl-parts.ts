import type { TextBranch } from '../../embeddings/textual-inversions.js';
import { invalidConfig } from '../../errors.js';
import { defaultLog } from '../../log.js';
import { AutoencoderKL } from '../../models/autoencoder-kl.js';
import { CLIPTextModel } from '../../models/text-encoder.js';
import { UNet2DConditionModel } from '../../models/unet.js';
import { openBackend } from '../../native/device.js';
import { fitProjection } from '../../previews/fit.js';
import { knownProjection } from '../../previews/projection.js';
import { checkTokenizer, tellUnknownFields } from './fit.js';
import type { LoadOptions, ModelIndex, XLParts } from './parts.js';
import { loadPreviewVae } from './preview-vae.js';
import { loadScheduler } from './scheduler-file.js';
import { loadTogether } from './together.js';

/** Loads a base or refiner folder. What was loaded before an error is freed. */
export async function loadXLParts(index: ModelIndex, options: LoadOptions): Promise<XLParts> {
  const { variant, signal, log = defaultLog } = options;
  const find = { variant, signal, log };
  const { source, value } = index;
  const { place } = source;
  const backend = openBackend(options);
  const scheduler = await loadScheduler(index, options);
  return loadTogether(async (keep, models) => {
    const previewVae = await loadPreviewVae(backend, index, options, keep);
    const text: TextBranch[] = [];
    for (const suffix of ['', '_2']) {
      const part = `text_encoder${suffix}`;
      if (!source.has(part)) continue;
      const tokenizer = await source.tokenizer(`tokenizer${suffix}`, { signal });
      const keepWeights = options.unloadTextEncoder !== true;
      const encoder = await keep(
        CLIPTextModel.load(backend, await source.network(part, find), { signal, keepWeights }),
      );
      checkTokenizer(place, tokenizer, encoder, suffix);
      text.push({ tokenizer, encoder });
    }
    if (text.length === 0) throw invalidConfig(place, 'has neither text_encoder nor text_encoder_2');
    const unet = await keep(
      UNet2DConditionModel.load(backend, await source.network('unet', find), { signal }),
    );
    const vae = await keep(
      AutoencoderKL.load(backend, await source.network('vae', find), { signal, upcast: true }),
    );
    tellUnknownFields(source, { unet, vae }, log);
    const width = text.reduce((sum, { encoder }) => sum + encoder.width, 0);
    if (width !== unet.contextWidth) {
      throw invalidConfig(
        place,
        `has text encoders of ${width} together, its U-Net reads ${unet.contextWidth}`,
      );
    }
    return {
      backend,
      scheduler,
      text,
      unet,
      vae,
      previewVae,
      projection: options.fitPreviews ? await fitProjection(vae, signal) : knownProjection(vae),
      forceZerosForEmptyPrompt: value.force_zeros_for_empty_prompt !== false,
      requiresAestheticsScore: value.requires_aesthetics_score === true,
      models,
    };
  });
}
