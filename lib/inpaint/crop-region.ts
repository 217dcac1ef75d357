import { invalidArgument } from '../errors.js';
import type { Image } from '../images/image.js';
import type { Sliced } from '../slices.js';

/** Part of a picture in pixels; right and bottom are the first ones outside. */
export interface Region {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/**
 * The part of a picture that holds all of a mask that is not black, with a padding around it, grown to the aspect of
 * `size` as far as the picture allows (diffusers: VaeImageProcessor.get_crop_region).
 *
 * @param mask gray, of the picture's size.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a mask that is black everywhere.
 */
export function* cropRegion(
  mask: Image,
  size: { readonly width: number; readonly height: number },
  padding: number,
): Sliced<Region> {
  const { width, height } = mask;
  const bounds = yield* boundsOf(mask);
  if (!bounds)
    throw invalidArgument('maskImage', 'is black everywhere: paddingMaskCrop finds nothing to repaint');
  const x = { start: Math.max(0, bounds.left - padding), end: Math.min(width, bounds.right + padding) };
  const y = { start: Math.max(0, bounds.top - padding), end: Math.min(height, bounds.bottom + padding) };
  const ratio = size.width / size.height;
  const [across, down] = [x.end - x.start, y.end - y.start];
  const isWide = across / down > ratio;
  const columns = isWide ? x : grown(x, Math.trunc(down * ratio - across), width);
  const rows = isWide ? grown(y, Math.trunc(across / ratio - down), height) : y;
  return { left: columns.start, top: rows.start, right: columns.end, bottom: rows.end };
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Longer on both sides, moved and at last cut so that it stays within. */
function grown({ start, end }: Span, more: number, most: number): Span {
  const before = Math.floor(more / 2);
  const over = Math.max(0, end + more - before - most);
  const from = start - before - over;
  return { start: Math.max(0, from), end: Math.min(most, end + more - before - over + Math.max(0, -from)) };
}

function* boundsOf({ width, height, data }: Image): Sliced<Region | undefined> {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[3 * (y * width + x)] === 0) continue;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = y + 1;
    }
    yield;
  }
  return right > left ? { left, top, right, bottom } : undefined;
}
