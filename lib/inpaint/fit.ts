import type { Image } from '../images/image.js';
import { blank, paste } from '../images/paste.js';
import { edgeOf, resizeLanczos } from '../images/resize.js';
import { inSlices } from '../slices.js';

interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * A picture at the size within which its aspect fits, in the middle, with its edges drawn out beside it (diffusers:
 * VaeImageProcessor.resize with resize_mode "fill").
 */
export async function resizeAndFill(image: Image, size: Size, signal?: AbortSignal): Promise<Image> {
  const isTaller = size.width / size.height < image.width / image.height;
  const own = isTaller ? ofWidth(image, size) : ofHeight(image, size);
  const { out, resized, left, top } = await inMiddle(image, own, size, signal);
  const beside = async (edge: 'left' | 'right' | 'top' | 'bottom', margin: number, x: number, y: number) => {
    if (margin > 0) await inSlices(paste(out, await edgeOf(resized, edge, margin, signal), x, y), signal);
  };
  if (isTaller) {
    await beside('top', top, 0, 0);
    await beside('bottom', top, 0, top + own.height);
  } else {
    await beside('left', left, 0, 0);
    await beside('right', left, left + own.width, 0);
  }
  return out;
}

/** A picture at the size that it covers, without what stands over (diffusers: resize_mode "crop"). */
export async function resizeAndCrop(image: Image, size: Size, signal?: AbortSignal): Promise<Image> {
  const isWider = size.width / size.height > image.width / image.height;
  const own = isWider ? ofWidth(image, size) : ofHeight(image, size);
  return (await inMiddle(image, own, size, signal)).out;
}

/** A long and thin picture may have no pixels left; then it has one. */
const ofWidth = (image: Size, { width }: Size): Size => ({
  width,
  height: Math.max(1, Math.floor((image.height * width) / image.width)),
});
const ofHeight = (image: Size, { height }: Size): Size => ({
  width: Math.max(1, Math.floor((image.width * height) / image.height)),
  height,
});

async function inMiddle(image: Image, own: Size, size: Size, signal: AbortSignal | undefined) {
  const resized = await resizeLanczos(image, own.width, own.height, signal);
  const left = Math.floor(size.width / 2) - Math.floor(own.width / 2);
  const top = Math.floor(size.height / 2) - Math.floor(own.height / 2);
  const out = await inSlices(paste(blank(size), resized, left, top), signal);
  return { out, resized, left, top };
}
