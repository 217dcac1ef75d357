import { type DecodeLimits, type EncodedPicture, examine } from './decode.js';
import { imageError } from './errors.js';
import { readPictureFile } from './source.js';

/** How a picture is opened. */
export type OpenOptions = DecodeLimits;

/**
 * Finds a picture's file and looks at its header.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_IMAGE naming the file, here and when it is decoded; the signal's reason.
 */
export async function openPicture(
  source: string | Uint8Array,
  options: OpenOptions = {},
): Promise<EncodedPicture> {
  const { signal } = options;
  const file =
    typeof source === 'string' ? await readPictureFile(source, signal) : { name: 'the image', bytes: source };
  const named = async <T>(stop: AbortSignal | undefined, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      stop?.throwIfAborted();
      throw imageError(`${file.name} cannot be read`, cause);
    }
  };
  const picture = await named(signal, () => examine(file.bytes, options));
  return { ...picture, decode: (stop = signal) => named(stop, () => picture.decode(stop)) };
}
