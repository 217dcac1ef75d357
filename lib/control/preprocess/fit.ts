import { Image } from '../../images/image.js';
import { resizeLanczos } from '../../images/resize.js';
import { forEachIndex, inSlices } from '../../slices.js';

/** How a picture becomes another size: out of shape, without what stands over, or with black beside it. */
export type ResizeMode = 'stretch' | 'crop' | 'fill';

export const RESIZE_MODES = ['stretch', 'crop', 'fill'] as const satisfies readonly ResizeMode[];

/** A picture at another size, by Lanczos; the middle of it stays in the middle. */
export async function fitTo(
  image: Image,
  width: number,
  height: number,
  mode: ResizeMode,
  signal?: AbortSignal,
): Promise<Image> {
  if (mode === 'stretch') return resizeLanczos(image, width, height, signal);
  const ratios = [width / image.width, height / image.height] as const;
  const ratio = mode === 'crop' ? Math.max(...ratios) : Math.min(...ratios);
  const side = (own: number, wanted: number) => {
    const scaled = Math.max(1, Math.round(own * ratio));
    return mode === 'crop' ? Math.max(wanted, scaled) : Math.min(wanted, scaled);
  };
  const size = { width: side(image.width, width), height: side(image.height, height) };
  const scaled = await resizeLanczos(image, size.width, size.height, signal);
  const data = new Uint8Array(3 * width * height);
  const left = Math.trunc((width - size.width) / 2);
  const top = Math.trunc((height - size.height) / 2);
  const count = 3 * Math.min(width, size.width);
  const copyRow = (row: number) => {
    const from = 3 * ((row - Math.min(0, top) - Math.max(0, top)) * size.width - Math.min(0, left));
    if (row < top || row >= top + size.height) return;
    data.set(scaled.data.subarray(from, from + count), 3 * (row * width + Math.max(0, left)));
  };
  await inSlices(forEachIndex(height, copyRow, 64), signal);
  return new Image({ width, height, data });
}
