import { invalidArgument } from '../errors.js';
import type { Image } from '../images/image.js';
import { requireSameSize } from './psnr.js';

/** Pixels of the window per axis, and its standard deviation. */
export const SSIM_WINDOW = 11;
const SIGMA = 1.5;
/** (K * 255)^2 for K = 0.01 and 0.03. */
const C1 = 2.55 ** 2;
const C2 = 7.65 ** 2;

/** Values in rows. */
interface Plane {
  width: number;
  height: number;
  data: Float64Array;
}

/**
 * Structural similarity of the luma of two images: 1 for equal ones, about 0 for unrelated ones, at the least -1.
 *
 * Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility to structural
 * similarity", IEEE Transactions on Image Processing 13(4), 2004: an 11x11 Gaussian window of standard deviation 1.5,
 * K1 = 0.01, K2 = 0.03, L = 255, the mean over all windows that lie inside of the image, at full resolution. Luma is
 * BT.601's 0.299 R + 0.587 G + 0.114 B, not rounded.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for images of different sizes or smaller than the window.
 */
export function ssim(image: Image, reference: Image): number {
  requireSameSize(image, reference);
  const { width, height } = image;
  if (Math.min(width, height) < SSIM_WINDOW) {
    throw invalidArgument('image', `is ${width}x${height}; SSIM needs ${SSIM_WINDOW} pixels in each axis`);
  }
  const [x, y] = [toLuma(image), toLuma(reference)];
  const [meanX, meanY] = [windowMeans(x), windowMeans(y)];
  const [squaresX, squaresY, products] = [[x, x] as const, [y, y] as const, [x, y] as const].map(([a, b]) =>
    windowMeans({ width, height, data: a.data.map((value, i) => value * (b.data[i] as number)) }),
  ) as [Float64Array, Float64Array, Float64Array];
  let sum = 0;
  for (let i = 0; i < meanX.length; i++) {
    const [mx, my] = [meanX[i] as number, meanY[i] as number];
    const varianceX = (squaresX[i] as number) - mx * mx;
    const varianceY = (squaresY[i] as number) - my * my;
    const covariance = (products[i] as number) - mx * my;
    sum +=
      ((2 * mx * my + C1) * (2 * covariance + C2)) /
      ((mx * mx + my * my + C1) * (varianceX + varianceY + C2));
  }
  return sum / meanX.length;
}

function toLuma({ width, height, data }: Image): Plane {
  const luma = new Float64Array(width * height);
  for (let i = 0; i < luma.length; i++) {
    const [r, g, b] = [data[3 * i] as number, data[3 * i + 1] as number, data[3 * i + 2] as number];
    luma[i] = 0.299 * r + 0.587 * g + 0.114 * b;
  }
  return { width, height, data: luma };
}

/** Weighted means of every window that lies inside. The Gaussian is the product of its rows and columns. */
function windowMeans({ width, height, data }: Plane): Float64Array {
  const weights = gaussian();
  const [outWidth, outHeight] = [width - SSIM_WINDOW + 1, height - SSIM_WINDOW + 1];
  const rows = new Float64Array(outWidth * height);
  for (let i = 0; i < rows.length; i++) {
    const start = Math.floor(i / outWidth) * width + (i % outWidth);
    for (let k = 0; k < SSIM_WINDOW; k++) {
      rows[i] = (rows[i] as number) + (weights[k] as number) * (data[start + k] as number);
    }
  }
  const means = new Float64Array(outWidth * outHeight);
  for (let i = 0; i < means.length; i++) {
    for (let k = 0; k < SSIM_WINDOW; k++) {
      means[i] = (means[i] as number) + (weights[k] as number) * (rows[i + k * outWidth] as number);
    }
  }
  return means;
}

function gaussian(): number[] {
  const center = (SSIM_WINDOW - 1) / 2;
  const values = Array.from({ length: SSIM_WINDOW }, (_, i) =>
    Math.exp(-((i - center) ** 2) / (2 * SIGMA ** 2)),
  );
  const sum = values.reduce((a, b) => a + b, 0);
  return values.map((value) => value / sum);
}
