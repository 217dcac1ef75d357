import { invalidConfig } from '../../errors.js';
import { defaultLog } from '../../log.js';
import { AutoencoderKL } from '../../models/autoencoder-kl.js';
import { CLIPVisionModelWithProjection } from '../../models/image-encoder.js';
import { UNetSpatioTemporalConditionModel } from '../../models/unet-spatio-temporal.js';
import { openBackend } from '../../native/device.js';
import type { LoadOptions, ModelIndex, VideoParts } from './parts.js';
import { loadScheduler } from './scheduler-file.js';
import { loadTogether } from './together.js';

/** Loads the parts of a folder. What was loaded before an error is freed. */
export async function loadVideoParts(index: ModelIndex, options: LoadOptions): Promise<VideoParts> {
  const { source } = index;
  const { place } = source;
  const { variant, signal, log = defaultLog } = options;
  const backend = openBackend(options);
  const scheduler = await loadScheduler(index, options);
  return loadTogether(async (keep, models) => {
    const find = { variant, signal, log };
    const imageEncoder = await keep(
      CLIPVisionModelWithProjection.load(backend, await source.network('image_encoder', find), { signal }),
    );
    const unet = await keep(
      UNetSpatioTemporalConditionModel.load(backend, await source.network('unet', find), { signal }),
    );
    const vae = await keep(
      AutoencoderKL.load(backend, await source.network('vae', find), { signal, upcast: true }),
    );
    if (imageEncoder.projectionWidth !== unet.contextWidth) {
      throw invalidConfig(
        place,
        `has an image encoder that is ${imageEncoder.projectionWidth} wide, its U-Net reads ${unet.contextWidth}`,
      );
    }
    if (unet.inChannels !== 2 * vae.latentChannels || unet.native.outChannels !== vae.latentChannels) {
      throw invalidConfig(
        place,
        `has an autoencoder of ${vae.latentChannels} latent channels, which does not fit its U-Net of ` +
          `${unet.inChannels} to ${unet.native.outChannels} channels`,
      );
    }
    return { backend, scheduler, unet, vae, imageEncoder, models };
  });
}
