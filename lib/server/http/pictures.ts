import { invalidArgument, withOwner } from '../../errors.js';
import { type EncodeOptions, type Image, type ImageFormat, Image as Picture } from '../../images/image.js';
import { pictureInText } from '../../images/source.js';
import type { Limits } from './limits.js';

// Pictures on their way in and out. A text of a request is never a path: what is no picture itself is refused.

export const MEDIA_TYPES: Readonly<Record<ImageFormat, string>> = {
  png: 'image/png',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
};

/**
 * A picture that a request holds as a text: a `data:` URL, or a file's bytes in base64.
 *
 * @returns its bytes, which {@link checkPicture} has not seen yet.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT, ERR_DEEPCACHE_IMAGE
 */
export async function pictureOfText(name: string, text: string, signal?: AbortSignal): Promise<Uint8Array> {
  const found = await pictureInText(text, signal);
  if (!found) throw invalidArgument(name, 'must be a picture in base64, or a data: URL of one');
  return found.bytes;
}

/**
 * Unpacks a picture to see that it can be, so that a request with a bad one is refused at once.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_IMAGE naming the option, also for one with more pixels than are allowed.
 */
export async function checkPicture(
  name: string,
  bytes: Uint8Array,
  { inputPixels }: Limits,
  signal?: AbortSignal,
): Promise<Image> {
  try {
    return await Picture.open(bytes, { maxPixels: inputPixels, signal });
  } catch (error) {
    throw withOwner(name, error);
  }
}

/** A picture's file as a text. */
export async function toBase64(
  image: Image,
  format: ImageFormat,
  options: EncodeOptions = {},
): Promise<string> {
  return (await encode(image, format, options)).toString('base64');
}

/** A picture's file; settings that are too long for a format that is no PNG stay behind. */
export async function encode(
  image: Image,
  format: ImageFormat,
  options: EncodeOptions = {},
): Promise<Buffer> {
  try {
    return await image.toBuffer(format, options);
  } catch (error) {
    if (format === 'png' || options.metadata === false) throw error;
    return image.toBuffer(format, { ...options, metadata: false });
  }
}
