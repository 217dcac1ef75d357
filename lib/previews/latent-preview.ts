import { invalidArgument } from '../errors.js';
import type { Image } from '../images/image.js';
import { resizeLanczos } from '../images/resize.js';
import type { Tensor } from '../tensor.js';
import { type LatentProjection, projectLatents } from './projection.js';

/**
 * What a step would end in if it were the last: the predicted clean latents [n, c, h, w] in model scale, and a cheap
 * look at them. Nothing is computed before it is asked for.
 */
export class LatentPreview implements Tensor {
  readonly #projection: LatentProjection;
  readonly #scale: number;

  /** @param scale image pixels of a latent one. */
  constructor(
    readonly data: Float32Array,
    readonly shape: readonly number[],
    projection: LatentProjection,
    scale: number,
  ) {
    this.#projection = projection;
    this.#scale = scale;
  }

  /**
   * The colours of one image of the batch, without the autoencoder: a linear projection of the latents, blurred up to
   * the image's size. Takes milliseconds; fine details are missing.
   */
  toImage(index = 0): Image {
    const [count = 0, channels = 0, height = 0, width = 0] = this.shape;
    if (!Number.isInteger(index) || index < 0 || index >= count) {
      throw invalidArgument('index', `must be a whole number from 0 to ${count - 1}, got ${index}`);
    }
    const size = channels * height * width;
    const data = this.data.subarray(index * size, (index + 1) * size);
    const [small] = projectLatents({ data, shape: [1, channels, height, width] }, this.#projection);
    return resizeLanczos(small as Image, width * this.#scale, height * this.#scale);
  }

  toJSON(): object {
    return { dtype: 'float32', shape: this.shape };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `LatentPreview float32 [${this.shape.join(', ')}]`;
  }

  /** The same for all images of the batch. */
  toImages(): Image[] {
    return Array.from({ length: this.shape[0] as number }, (_, i) => this.toImage(i));
  }
}
