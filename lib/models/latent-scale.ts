import { DeepCacheError, invalidConfig } from '../errors.js';
import { mapParts, type Sliced } from '../slices.js';

type Config = Readonly<Record<string, unknown>>;

/**
 * How an autoencoder's latents become those that a U-Net works on. Most have one factor; some (Playground v2.5) a mean
 * and a deviation for each channel, some a shift (diffusers: `scaling_factor`, `latents_mean`, `latents_std`,
 * `shift_factor`).
 */
export class LatentScale {
  readonly #factor: number;
  readonly #means: readonly number[];
  readonly #deviations: readonly number[];

  /**
   * @param file that the configuration is from, for messages.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG for fields that do not fit the channels.
   */
  constructor(factor: number, channels: number, config: Config = {}, file = 'vae/config.json') {
    const list = (field: string, fallback: number, isGood: (value: unknown) => boolean, what = 'numbers') => {
      const values = config[field] ?? new Array<number>(channels).fill(fallback);
      if (Array.isArray(values) && values.length === channels && values.every(isGood)) return values;
      throw invalidConfig(
        file,
        `"${field}" must be ${channels} ${what}, one for each channel of the latents`,
      );
    };
    this.#factor = factor;
    this.#means = list('latents_mean', shiftOf(config, file), Number.isFinite);
    this.#deviations = list(
      'latents_std',
      1,
      (value) => Number.isFinite(value) && (value as number) > 0,
      'numbers above 0',
    );
    // Alone they are no normal distribution, and diffusers passes over them in silence.
    if ((config.latents_mean == null) !== (config.latents_std == null)) {
      throw invalidConfig(file, 'has one of "latents_mean" and "latents_std", which belong together');
    }
  }

  /** Whether a factor is all that there is. */
  get isPlain(): boolean {
    return this.#means.every((mean) => mean === 0) && this.#deviations.every((value) => value === 1);
  }

  /** A value of the autoencoder as the U-Net has it. */
  toModel(value: number, channel: number): number {
    const [mean, deviation] = [this.#means[channel] as number, this.#deviations[channel] as number];
    return ((value - mean) * this.#factor) / deviation;
  }

  /** Latents [n, c, h, w] of the U-Net as the autoencoder takes them; `pixels` is h * w. */
  fromModel(latents: Float32Array, pixels: number): Sliced<Float32Array> {
    const channels = this.#means.length;
    return mapParts(latents, (value, i) => {
      const channel = Math.floor(i / pixels) % channels;
      return (
        (value * (this.#deviations[channel] as number)) / this.#factor + (this.#means[channel] as number)
      );
    });
  }
}

function shiftOf({ shift_factor: shift, latents_mean: mean }: Config, file: string): number {
  if (shift == null) return 0;
  if (typeof shift !== 'number' || !Number.isFinite(shift)) {
    throw invalidConfig(file, '"shift_factor" must be a number');
  }
  if (shift !== 0 && mean != null) {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_UNSUPPORTED',
      `${file}: "shift_factor" beside "latents_mean" is not supported`,
    );
  }
  return shift;
}
