import { invalidArgument } from '../errors.js';
import type { Image } from '../images/image.js';
import type { Tensor } from '../tensor.js';
import type { PreviewLook } from './look.js';
import type { PreviewOptions } from './projection.js';

/**
 * What a step would end in if it were the last: the predicted clean latents [n, c, h, w] in model scale, and a cheap
 * look at them. Nothing is computed before it is asked for.
 */
export class LatentPreview implements Tensor {
  readonly #look: PreviewLook;

  constructor(
    /** Latents, row by row. */
    readonly data: Float32Array,
    /** [images, channels, height, width] */
    readonly shape: readonly number[],
    look: PreviewLook,
  ) {
    this.#look = look;
  }

  /**
   * One image of the batch. By itself its colours, without the autoencoder: a linear projection of the latents, blurred up
   * to the image's size, which takes milliseconds, seconds for the largest; fine details are missing. With the load option
   * `previewVae` that autoencoder decodes it, beside the run. Neither holds the event loop up.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for an image that the batch does not have; with `previewVae`
   * ERR_DEEPCACHE_DISPOSED when the model is no longer there; the signal's reason.
   */
  async toImage(index = 0, { signal }: PreviewOptions = {}): Promise<Image> {
    const [count = 0, channels = 0, height = 0, width = 0] = this.shape;
    if (!Number.isInteger(index) || index < 0 || index >= count) {
      throw invalidArgument('index', `must be a whole number from 0 to ${count - 1}, got ${index}`);
    }
    const size = channels * height * width;
    const data = this.data.subarray(index * size, (index + 1) * size);
    return this.#look({ data, shape: [1, channels, height, width] }, { signal });
  }

  toJSON(): object {
    return { dtype: 'float32', shape: this.shape };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `LatentPreview float32 [${this.shape.join(', ')}]`;
  }

  /** The same for all images of the batch. */
  async toImages(options: PreviewOptions = {}): Promise<Image[]> {
    const images: Image[] = [];
    for (let i = 0; i < (this.shape[0] as number); i++) images.push(await this.toImage(i, options));
    return images;
  }
}
