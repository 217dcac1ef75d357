import { invalidArgument } from '../../errors.js';
import {
  bytesOf,
  countOf,
  type ImageInput,
  type LoadedImage,
  type LoadedImages,
  loadImages,
  sizeOf,
  toLuma,
  toMask,
  toRgb,
} from '../../images/input.js';
import { blurred, MaskedArea } from '../../inpaint/masked-area.js';
import { checkTensor } from '../../options/checks.js';
import type { OptionsOf } from '../../options/spec/index.js';
import { forEachIndex, inSlices, mapParts, type Sliced } from '../../slices.js';
import { joined, type Tensor } from '../../tensor.js';
import { encodeImages, repeated } from './encode-image.js';
import { checkImageCount, noteSize, wholeLatents } from './image-to-image.js';
import type { TextRunOptions } from './options.js';
import type { PreparedRun, RunKind, RunStart, StartContext } from './run-kind.js';
import { stepsOfStrength } from './strength.js';

export interface InpaintOptions extends OptionsOf<'inpaint'> {
  image: ImageInput;
  maskImage: ImageInput;
}

export interface InpaintInputs {
  image: LoadedImages;
  /** Blurred where it is read, as options say. */
  mask: LoadedImages;
  /** Whether the run works on the area around the mask alone. */
  isArea: boolean;
}

/**
 * Inside a mask, with U-Nets made for it (nine input channels: latents, mask, the masked picture) and with ordinary
 * ones (four channels: the kept part is put back after every step).
 */
export function inpainting(strength: number): RunKind<InpaintOptions, InpaintInputs> {
  return {
    // Besides latents the mask and the masked picture's.
    gives: { channels: (latents) => [latents, 2 * latents + 1] },
    encodesImages: true,
    isSizedByImage: true,
    async load({ image: given, maskImage, maskBlur = 0, paddingMaskCrop, signal }) {
      const image = await loadImages('image', given, 3, signal);
      const mask = await loadImages('maskImage', maskImage, maskChannels(maskImage), signal);
      if (maskBlur > 0) requirePicture('maskBlur', 'maskImage', mask);
      const isArea = paddingMaskCrop !== undefined;
      if (isArea) {
        requirePicture('paddingMaskCrop', 'image', image);
        requirePicture('paddingMaskCrop', 'maskImage', mask);
        const count = Math.max(countOf(image), countOf(mask));
        if (count > 1)
          throw invalidArgument('paddingMaskCrop', `is for one picture and one mask, got ${count}`);
      }
      return { image, mask: blurred(mask, maskBlur), isArea };
    },
    // The area is worked on at the size that the model was trained on.
    size({ image, isArea }, { scale, sampleWidth, sampleHeight }) {
      return isArea
        ? { width: sampleWidth * scale, height: sampleHeight * scale }
        : wholeLatents(image, scale);
    },
    span(options, steps) {
      const count = stepsOfStrength(options.strength ?? strength, steps);
      return (options.strength ?? strength) === 1 ? {} : { stepsToRun: count };
    },
    settings: (options) => ({
      'Denoising strength': options.denoisingStart === undefined && (options.strength ?? strength),
      'Original kept': options.keepOriginal,
      'Mask blur': (options.maskBlur ?? 0) > 0 && options.maskBlur,
      // The web UI's words.
      'Inpaint area': options.paddingMaskCrop !== undefined && 'Only masked',
      'Masked area padding': options.paddingMaskCrop !== undefined && String(options.paddingMaskCrop),
    }),
    bytes({ image, mask, isArea }, { width, height, batch }) {
      // The masked picture comes on top, and the whole one for each result.
      const masked = 4 * 3 * width * height * batch;
      const own = sizeOf(image);
      const laid = isArea ? (4 * 3 * batch + 2 * 3) * own.width * own.height : 0;
      return bytesOf(image, width, height, 3) + bytesOf(mask, width, height, 1) + masked + laid;
    },
    async prepare(inputs, options, note) {
      const { width, height, batch, signal } = options;
      checkImageCount('image', inputs.image, batch);
      checkImageCount('maskImage', inputs.mask, batch);
      const area = await areaOf(inputs, options);
      if (!area) noteSize('image', inputs.image, options, note);
      noteMask(inputs, note);
      const shown = area?.pictures ?? inputs;
      const image = await toRgb('image', shown.image, width, height, signal);
      const mask = await toMask('maskImage', shown.mask, width, height, signal);
      const start: PreparedRun['start'] = (context) =>
        startInside(context, options.strength ?? strength, { image, mask });
      if (area) return { start, area, finish: (pixels) => area.lay(pixels, signal) };
      if (!options.keepOriginal) return { start };
      const soft = options.maskBlur ? await toLuma('maskImage', shown.mask, width, height, signal) : mask;
      return { start, finish: (pixels) => putBack(pixels, { image, mask: soft }, signal) };
    },
  };
}

/** At the size of the run: [n, 3, h, w] from 0 to 1, and [n, 1, h, w], 1 where it is repainted, else 0. */
interface MaskedPictures {
  image: Tensor;
  mask: Tensor;
}

// diffusers: StableDiffusionInpaintPipeline. Draws: the picture's latents (four channels, or a strength below 1), the
// noise, the masked picture's latents.
async function startInside(
  context: StartContext,
  strength: number,
  { image, mask }: MaskedPictures,
): Promise<RunStart> {
  const { unet, vae, options, compiled, noise } = context;
  const { batch, latent, guided, signal } = options;
  const [, channels, h, w] = latent;
  const extra = unet.inChannels - channels;
  const masked = await maskedImage(image, mask, signal);

  const whole = strength === 1;
  const clean = extra === 0 || !whole ? await encodeImages(vae, image, noise, options) : new Float32Array(0);
  const normal = await noise.draw(channels * h * w, signal);
  const level = compiled.startAddNoise ?? { sqrtAlpha: 1, sigma: 0 };
  const handedOver = options.denoisingStart !== undefined && options.latents;
  const scaled = whole
    ? mapParts(normal, (value) => value * compiled.initNoiseSigma)
    : mapParts(normal, (value, i) => level.sqrtAlpha * (clean[i] as number) + level.sigma * value);
  const latents = handedOver
    ? (await checkTensor('latents', handedOver, latent, signal)).data
    : await inSlices(scaled, signal);
  // Drawn by ordinary U-Nets too, to keep the generator in step.
  const maskedLatents = await encodeImages(vae, masked, noise, options);

  const shrunk = await shrink(mask, vae.scale, signal);
  const small = await inSlices(repeated(shrunk, mask.shape[0] as number, batch), signal);
  if (extra === 0) return { latents, blend: { mask: small, init: clean, initNoise: normal } };
  const halves = guided ? 2 : 1;
  return { latents, constant: await inSlices(interleave(small, maskedLatents, batch, halves), signal) };
}

/** Channels that a mask is read with. */
export function maskChannels(mask: ImageInput): number {
  // A mask tensor has one channel; pictures are turned to gray.
  return (mask as Partial<Tensor>).shape?.[1] === 3 ? 3 : 1;
}

/** A mask of another shape than its picture is most often one of another picture. */
export function noteMask(
  { image, mask }: Pick<InpaintInputs, 'image' | 'mask'>,
  note: (message: string) => void,
): void {
  const [own, other] = [sizeOf(mask), sizeOf(image)];
  if (own.width === other.width && own.height === other.height) return;
  note(
    `the mask is ${own.width}x${own.height} pixels, the image ${other.width}x${other.height}: it was resized`,
  );
}

function requirePicture(option: string, name: string, images: LoadedImages): void {
  if ('tensor' in images) throw invalidArgument(option, `is for pictures; ${name} is a tensor`);
}

/** The area around the mask, for a run that works on nothing else. */
async function areaOf(
  { image, mask, isArea }: InpaintInputs,
  { width, height, paddingMaskCrop = 0, signal }: TextRunOptions,
): Promise<MaskedArea | undefined> {
  if (!isArea || !('images' in image) || !('images' in mask)) return undefined;
  const [original, whole] = [image.images[0] as LoadedImage, mask.images[0] as LoadedImage];
  const options = { width, height, paddingMaskCrop, signal };
  return MaskedArea.find(await original.read(signal), await whole.read(signal), options);
}

/** The value for a pixel in a mask that stands for several pictures and all of their channels. */
function maskAt({ data, shape }: Tensor, channels: number): (i: number) => number {
  const [count = 0, , height = 0, width = 0] = shape;
  const pixels = height * width;
  return (i) => {
    const row = Math.floor(i / (channels * pixels)) % count;
    return data[row * pixels + (i % pixels)] as number;
  };
}

/** The picture, gray (0 between -1 and 1) where it is repainted. */
async function maskedImage({ data, shape }: Tensor, mask: Tensor, signal?: AbortSignal): Promise<Tensor> {
  const [count = 0, channels = 0, height = 0, width = 0] = shape;
  const rows = Math.max(count, mask.shape[0] as number);
  const out = new Float32Array(rows * channels * height * width);
  const shareAt = maskAt(mask, channels);
  const write = forEachIndex(out.length, (i) => {
    out[i] = shareAt(i) >= 0.5 ? 0.5 : (data[i % data.length] as number);
  });
  await inSlices(write, signal);
  return { data: out, shape: [rows, channels, height, width] };
}

/** Writes the picture over the result outside the mask; where a blurred one is gray, both count. */
async function putBack(
  pixels: Tensor,
  { image, mask }: MaskedPictures,
  signal?: AbortSignal,
): Promise<Tensor> {
  const shareAt = maskAt(mask, 3);
  const { data } = image;
  const write = forEachIndex(pixels.data.length, (i) => {
    const share = shareAt(i);
    if (share === 1) return;
    const own = data[i % data.length] as number;
    pixels.data[i] = share === 0 ? own : own + share * ((pixels.data[i] as number) - own);
  });
  await inSlices(write, signal);
  return pixels;
}

/** Every scale-th pixel in each axis (torch's nearest interpolation). */
async function shrink({ data, shape }: Tensor, scale: number, signal?: AbortSignal): Promise<Float32Array> {
  const [count = 0, , height = 0, width = 0] = shape;
  const [h, w] = [height / scale, width / scale];
  const out = new Float32Array(count * h * w);
  const write = forEachIndex(out.length, (i) => {
    const row = Math.floor(i / w);
    const y = (row % h) * scale;
    out[i] = data[(Math.floor(row / h) * height + y) * width + (i % w) * scale] as number;
  });
  await inSlices(write, signal);
  return out;
}

/** [b, 1, h, w] and [b, c, h, w] -> [halves * b, 1 + c, h, w], each half the same. */
function interleave(
  mask: Float32Array,
  latents: Float32Array,
  batch: number,
  halves: number,
): Sliced<Float32Array> {
  const part = (data: Float32Array, i: number) =>
    data.subarray((i * data.length) / batch, ((i + 1) * data.length) / batch);
  const rows = Array.from({ length: halves * batch }, (_, i) => i % batch);
  return joined(rows.flatMap((i) => [part(mask, i), part(latents, i)]));
}
