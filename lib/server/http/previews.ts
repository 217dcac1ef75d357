import type { Image } from '../../images/image.js';
import type { Preview } from './jobs/desk.js';

const images = new WeakMap<Preview, Promise<Image | undefined>>();

/**
 * The picture of a preview, made once, however many ask for it; undefined where it can no longer be had: what decodes it
 * may be gone with its model, which is no reason to end a stream of events.
 */
export function previewImage(preview: Preview): Promise<Image | undefined> {
  let image = images.get(preview);
  if (!image) {
    image = preview.toImage().catch(() => undefined);
    images.set(preview, image);
  }
  return image;
}
