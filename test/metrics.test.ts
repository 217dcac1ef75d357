import { describe, expect, test } from '@jest/globals';
import { psnr, relativeL2, ssim } from '../lib/entries/evaluate.js';
import { Image } from '../lib/index.js';

const SIZE = { width: 37, height: 29 };

function image(value: (index: number) => number, { width, height } = SIZE): Image {
  return new Image({
    width,
    height,
    data: Uint8Array.from({ length: width * height * 3 }, (_, i) => value(i)),
  });
}

/** Slopes in both axes that wrap around, other ones in each channel. */
const slopes = image((i) => {
  const pixel = Math.floor(i / 3);
  return ((pixel % SIZE.width) * 5 + Math.floor(pixel / SIZE.width) * 3 + (i % 3) * 40) % 256;
});

/** The same with whole numbers from -20 to 20 of a linear congruential generator added, clamped. */
function noisySlopes(): Image {
  let state = 7;
  return image((i) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    const noise = ((state >> 16) & 0xff) % 41;
    return Math.min(255, Math.max(0, (slopes.data[i] as number) + noise - 20));
  });
}

const gray = (value: number) => image(() => value);

describe('PSNR', () => {
  test('infinite for equal images, 0 dB for black and white', () => {
    expect(psnr(slopes, slopes)).toBe(Infinity);
    expect(psnr(gray(0), gray(255))).toBe(0);
  });

  test('of a known mean squared error', () => {
    // 10 log10(255^2 / 16): every value is off by 4.
    expect(psnr(gray(100), gray(104))).toBeCloseTo(36.0896, 4);
    // One channel of three is off by 6: a mean of 12.
    expect(
      psnr(
        gray(100),
        image((i) => (i % 3 === 1 ? 106 : 100)),
      ),
    ).toBeCloseTo(37.33899, 4);
  });

  test('of scikit-image 0.26, peak_signal_noise_ratio', () => {
    expect(psnr(noisySlopes(), slopes)).toBeCloseTo(26.759021085234906, 10);
    expect(psnr(slopes, noisySlopes())).toBe(psnr(noisySlopes(), slopes));
  });

  test('only of images of the same size', () => {
    const turned = new Image({ width: 29, height: 37, data: slopes.data });
    expect(() => psnr(turned, slopes)).toThrow(
      expect.objectContaining({
        code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
        message: 'image is 29x37, the reference 37x29',
      }),
    );
  });
});

describe('SSIM', () => {
  test('1 for equal images, exactly', () => {
    expect(ssim(slopes, slopes)).toBe(1);
    expect(ssim(gray(0), gray(0))).toBe(1);
  });

  test('symmetric', () => {
    expect(ssim(slopes, noisySlopes())).toBeCloseTo(ssim(noisySlopes(), slopes), 14);
  });

  test('of flat images, which the luminance term alone decides', () => {
    // (2 * 100 * 150 + 2.55^2) / (100^2 + 150^2 + 2.55^2)
    expect(ssim(gray(100), gray(150))).toBeCloseTo(0.92309, 5);
  });

  test('of an image and its negative: below 0', () => {
    const checks = image((i) => ((Math.floor(i / 3) % SIZE.width) % 2 ? 200 : 55));
    expect(
      ssim(
        checks,
        image((i) => 255 - (checks.data[i] as number)),
      ),
    ).toBeLessThan(-0.9);
  });

  test('of scikit-image 0.26: structural_similarity of the same luma, gaussian_weights, sigma 1.5, population', () => {
    expect(ssim(noisySlopes(), slopes)).toBeCloseTo(0.7920569043769738, 11);
  });

  test('of luma: a change that keeps it is not seen', () => {
    // 0.299 * 38.1 = 0.114 * 100 within rounding: more red, less blue.
    const tinted = (red: number, blue: number) => image((i) => [red, 90, blue][i % 3] as number);
    expect(ssim(tinted(100, 150), tinted(138, 50))).toBeGreaterThan(0.99999);
    expect(ssim(tinted(100, 150), tinted(138, 150))).toBeLessThan(0.995);
  });

  test('needs a window', () => {
    const flat = { width: 10, height: 40 };
    expect(() =>
      ssim(
        image(() => 0, flat),
        image(() => 0, flat),
      ),
    ).toThrow(/10x40; SSIM needs 11 pixels/);
    const least = { width: 11, height: 11 };
    expect(
      ssim(
        image(() => 9, least),
        image(() => 9, least),
      ),
    ).toBe(1);
  });
});

describe('relative L2', () => {
  test('by hand', () => {
    expect(relativeL2([3, 4], [3, 4])).toBe(0);
    expect(relativeL2([0, 0], [3, 4])).toBe(1);
    expect(relativeL2([3, 4.5], [3, 4])).toBeCloseTo(0.1, 12);
    // The reference is what it is relative to.
    expect(relativeL2([3, 4], [6, 8])).toBe(0.5);
    expect(relativeL2([6, 8], [3, 4])).toBe(1);
  });

  test('of zeros', () => {
    expect(relativeL2([0], [0])).toBe(0);
    expect(relativeL2([1], [0])).toBe(Infinity);
  });

  test('not of different lengths', () => {
    expect(() => relativeL2([1, 2], [1])).toThrow(
      expect.objectContaining({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' }),
    );
  });
});
