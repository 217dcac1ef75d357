import { untilAborted } from '../../aborting.js';
import type { Image } from '../../images/image.js';
import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import type { Tiling } from '../../models/tiling.js';
import { inThisRun } from '../../native/run-memory.js';
import type { PreviewLook } from '../../previews/look.js';
import { decodeLatents } from './decode.js';
import { toImages } from './pixels.js';

/** Decoded by an autoencoder, one image after the other: memory is reserved for one. */
export function decodedLook(vae: AutoencoderKL, tiling: Tiling | undefined): PreviewLook {
  const inRun = inThisRun();
  let last: Promise<unknown> = Promise.resolve();
  return (latents, { signal }) => {
    const decode = async (): Promise<Image> => {
      signal?.throwIfAborted();
      const pixels = await decodeLatents(vae, latents, { tiling, signal });
      const [image] = await toImages(pixels, signal);
      return image as Image;
    };
    const before = last;
    const image = untilAborted(before, signal).then(() => inRun(decode));
    last = Promise.allSettled([before, image]);
    return image;
  };
}
