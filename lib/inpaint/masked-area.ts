import { toGray } from '../images/channels.js';
import { floatsToPixels, pixelsToFloats } from '../images/floats.js';
import { gaussianBlur } from '../images/gaussian-blur.js';
import { Image } from '../images/image.js';
import type { LoadedImages } from '../images/input.js';
import { blank, paste } from '../images/paste.js';
import { resizeLanczos } from '../images/resize.js';
import { inSlices } from '../slices.js';
import type { Tensor } from '../tensor.js';
import { cropRegion, type Region } from './crop-region.js';
import { resizeAndFill } from './fit.js';
import { overlaid } from './overlay.js';

interface Size {
  readonly width: number;
  readonly height: number;
}

/** What a run repaints, and how its pictures come to the run's size and back. */
interface AreaOptions extends Size {
  readonly paddingMaskCrop: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The part of a picture around a mask, worked on at the size of the run and laid into the picture again (diffusers:
 * `padding_mask_crop`). Outside of the mask the picture stays as it is, bit for bit.
 */
export class MaskedArea {
  private constructor(
    private readonly original: Image,
    private readonly whole: Image,
    private readonly region: Region,
    private readonly size: Size,
  ) {}

  /**
   * @param original the picture in its own size.
   * @param mask of any size; it is brought to the picture's.
   */
  static async find(original: Image, mask: Image, options: AreaOptions): Promise<MaskedArea> {
    const { width, height, paddingMaskCrop, signal } = options;
    const gray = await inSlices(toGray(mask), signal);
    const whole = await resizeLanczos(gray, original.width, original.height, signal);
    const region = await inSlices(cropRegion(whole, { width, height }, paddingMaskCrop), signal);
    return new MaskedArea(original, whole, region, { width, height });
  }

  /** Of the picture itself, in pixels. */
  get width(): number {
    return this.original.width;
  }

  get height(): number {
    return this.original.height;
  }

  /** The picture of the area, and its mask, at the run's size. */
  get pictures(): { readonly image: LoadedImages; readonly mask: LoadedImages } {
    const part = (picture: Image): LoadedImages => ({
      images: [{ ...this.size, read: (signal) => this.cut(picture, signal) }],
    });
    return { image: part(this.original), mask: part(this.whole) };
  }

  /** The same part of a picture that shows what the original does, whatever its size. */
  async cut(picture: Image, signal?: AbortSignal): Promise<Image> {
    const { left, top, right, bottom } = this.region;
    const { width, height } = this.original;
    const same = await resizeLanczos(picture, width, height, signal);
    const part = blank({ width: right - left, height: bottom - top });
    return resizeAndFill(await inSlices(paste(part, same, -left, -top), signal), this.size, signal);
  }

  /** Results [n, 3, h, w] from 0 to 1 laid into the picture: [n, 3, its height, its width], of 8 bits each. */
  async lay({ data, shape }: Tensor, signal?: AbortSignal): Promise<Tensor> {
    const [count = 0] = shape;
    const { width, height } = this.original;
    const [from, to] = [data.length / count, 3 * width * height];
    const out = new Float32Array(count * to);
    for (let i = 0; i < count; i++) {
      const pixels = await inSlices(floatsToPixels(data.subarray(i * from, (i + 1) * from), 'unit'), signal);
      const result = new Image({ ...this.size, data: pixels });
      const laid = await overlaid(this.original, this.whole, result, this.region, signal);
      await inSlices(pixelsToFloats(laid.data, 'unit', out.subarray(i * to, (i + 1) * to)), signal);
    }
    return { data: out, shape: [count, 3, height, width] };
  }
}

/** Masks in gray, blurred where they are read. */
export function blurred(masks: LoadedImages, radius: number): LoadedImages {
  if (radius === 0 || 'tensor' in masks) return masks;
  const images = masks.images.map(({ width, height, read }) => ({
    ...{ width, height },
    read: async (signal: AbortSignal | undefined) =>
      inSlices(gaussianBlur(await inSlices(toGray(await read(signal)), signal), radius), signal),
  }));
  return { images };
}
