import type { Image } from '../images/image.js';
import { resizeLanczos } from '../images/resize.js';
import type { Tensor } from '../tensor.js';
import { type LatentProjection, type PreviewOptions, projectLatents } from './projection.js';

/** How predicted clean latents are seen: those of one image [1, c, h, w], in model scale. */
export type PreviewLook = (latents: Tensor, options: PreviewOptions) => Promise<Image>;

/**
 * Colours alone: a linear projection of the latents, blurred up to the image's size.
 *
 * @param scale image pixels of a latent one.
 */
export function linearLook(projection: LatentProjection, scale: number): PreviewLook {
  return async (latents, { signal }) => {
    const [small] = await projectLatents(latents, projection, { signal });
    const { width, height } = small as Image;
    return resizeLanczos(small as Image, width * scale, height * scale, signal);
  };
}
