import { invalidArgument } from '../../errors.js';
import {
  bytesOf,
  countOf,
  type ImageInput,
  type LoadedImages,
  loadImages,
  toRgb,
} from '../../images/input.js';
import { resizeBicubic } from '../../images/resize.js';
import { MOST_PIXELS } from '../../options/kinds.js';
import type { OptionsOf } from '../../options/spec/index.js';
import type { Scheduler } from '../../schedulers/index.js';
import { inSlices, mapParts } from '../../slices.js';
import { joined } from '../../tensor.js';
import { toSigned } from '../outputs/pixels.js';
import { repeated } from './encode-image.js';
import { checkImageCount, noteSize, wholeLatents } from './image-to-image.js';
import { conditionsOf } from './options.js';
import type { RunKind, StartContext } from './run-kind.js';
import { startNoise } from './text-to-image.js';

export interface UpscaleOptions extends OptionsOf<'x4'> {
  image: ImageInput;
}

const NOISE_LEVEL = 20;

/** Channels of a picture. */
const RGB = 3;

/**
 * A larger picture from a small one and a text (diffusers: StableDiffusionUpscalePipeline): from noise, with the small
 * picture, noised, as further channels of the U-Net's input, whose latents have its size. How noisy it is is the U-Net's
 * class label.
 */
export function upscaling(): RunKind<UpscaleOptions, LoadedImages> {
  return {
    gives: { channels: (latents) => [latents + RGB], classes: true },
    encodesImages: false,
    isSizedByImage: true,
    load: ({ image, signal }) => loadImages('image', image, RGB, signal),
    size(image, { scale }) {
      const { width, height } = wholeLatents(image, scale);
      if (scale * Math.max(width, height) > MOST_PIXELS) {
        throw invalidArgument(
          'image',
          `is ${width}x${height}; ${scale} times as much is more than ${MOST_PIXELS} pixels a side`,
        );
      }
      return { width: width * scale, height: height * scale };
    },
    check({ noiseLevel = NOISE_LEVEL }, { maxNoiseLevel: most = Number.POSITIVE_INFINITY }) {
      if (noiseLevel <= most) return;
      throw invalidArgument(
        'noiseLevel',
        `must be at most ${most}, which this model was trained on, got ${noiseLevel}`,
      );
    },
    span: () => ({}),
    settings: ({ noiseLevel = NOISE_LEVEL }) => ({ 'Noise level': noiseLevel }),
    bytes(image, { latent: [batch, , height, width], ...options }) {
      const noisy = 4 * RGB * height * width * batch * (1 + conditionsOf(options));
      return bytesOf(image, width, height, RGB) + noisy;
    },
    async prepare(image, options, note) {
      const { batch, latent, isSized, signal } = options;
      const [, , height, width] = latent;
      checkImageCount('image', image, batch);
      noteSize('image', image, { width, height, isSized }, note, options.width / width);
      const { data } = await toRgb('image', image, width, height, signal, resizeBicubic);
      const pixels = await inSlices(toSigned(data), signal);
      return {
        async start(context) {
          const noisy = await noised(pixels, countOf(image), context);
          const each = latent[1] * height * width;
          const latents = await startNoise(options, context.compiled.initNoiseSigma, () =>
            context.noise.draw(each, signal),
          );
          const outputs = conditionsOf(options);
          return {
            latents,
            constant: await inSlices(joined(new Array<Float32Array>(outputs).fill(noisy)), signal),
            classLabels: new Float32Array(outputs * batch).fill(options.noiseLevel ?? NOISE_LEVEL),
          };
        },
      };
    },
  };
}

/** The pictures as the U-Net sees them, [batch, 3, h, w]. One generator draws for the pictures, several for the batch. */
async function noised(
  pixels: Float32Array,
  count: number,
  { options, noise, lowResScheduler }: StartContext,
): Promise<Float32Array> {
  const { batch, signal, noiseLevel = NOISE_LEVEL } = options;
  const rows = noise.seeds.length > 1 ? batch : count;
  const normal = await noise.drawRows(rows, pixels.length / count, signal);
  const alpha = (lowResScheduler as Scheduler).alphasCumprod[noiseLevel] as number;
  const [share, sigma] = [Math.sqrt(alpha), Math.sqrt(1 - alpha)];
  const mixed = mapParts(normal, (value, i) => share * (pixels[i % pixels.length] as number) + sigma * value);
  return inSlices(repeated(await inSlices(mixed, signal), rows, batch), signal);
}
