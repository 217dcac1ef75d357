import { invalidArgument } from '../../errors.js';
import { Image } from '../../images/image.js';
import { type ImageSource, loadPicture } from '../../images/input.js';
import { resizeLanczos } from '../../images/resize.js';
import { show } from '../../messages.js';
import { checkNames } from '../../names.js';
import { forEachIndex, inSlices } from '../../slices.js';
import { blur } from './blur.js';
import { canny } from './canny.js';

/** What can be made of a picture before a network sees it. */
export type Preprocessor = 'canny' | 'blur' | 'tile' | 'invert';

export const PREPROCESSORS = ['canny', 'blur', 'tile', 'invert'] as const satisfies readonly Preprocessor[];

/** How {@link preprocess} works. */
export interface PreprocessOptions {
  /** canny: a pixel whose gradient is above it is of an edge if it touches one. Default 100. */
  low?: number;
  /** canny: a pixel whose gradient is above it is of an edge. Default 200. */
  high?: number;
  /** blur: the standard deviation in pixels, 9 by default. */
  sigma?: number;
  /** tile: the picture is made so many times smaller, and as large as it was; 4 by default. */
  factor?: number;
  /** Stops the work. */
  signal?: AbortSignal;
}

/** The options that each takes, and their limits. */
const LIMITS = { low: [0, 1e6], high: [0, 1e6], sigma: [0.1, 1000], factor: [1, 64] } as const;

/**
 * Makes of a picture what ControlNets and T2I-Adapters are trained on, as far as that is plain image processing.
 *
 * @param kind `canny`: edges, equal to OpenCV's `Canny` value by value; `blur`: a Gaussian; `tile`: without details, for
 * networks that invent them; `invert`: the negative, such as of a sketch on paper.
 * @returns an image of the same size.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT, ERR_DEEPCACHE_IMAGE; the signal's reason.
 */
export async function preprocess(
  picture: ImageSource,
  kind: Preprocessor,
  options: PreprocessOptions = {},
): Promise<Image> {
  if (!PREPROCESSORS.includes(kind)) {
    throw invalidArgument('kind', `must be ${PREPROCESSORS.join(', ')}, got ${show(kind)}`);
  }
  checkNames(options, [...Object.keys(LIMITS), 'signal']);
  for (const [name, [least, most]] of Object.entries(LIMITS)) {
    const value: unknown = options[name as keyof typeof LIMITS];
    if (value === undefined || (typeof value === 'number' && value >= least && value <= most)) continue;
    throw invalidArgument(name, `must be a number from ${least} to ${most}, got ${show(value)}`);
  }
  const { low = 100, high = 200, sigma = 9, factor = 4, signal } = options;
  const image = await loadPicture('picture', picture, signal);
  const { width, height, data } = image;
  switch (kind) {
    case 'canny':
      return inSlices(canny(image, { low, high }), signal);
    case 'blur':
      return inSlices(blur(image, sigma), signal);
    case 'tile': {
      const side = (length: number) => Math.max(1, Math.round(length / factor));
      const small = await resizeLanczos(image, side(width), side(height), signal);
      return resizeLanczos(small, width, height, signal);
    }
    case 'invert':
      return new Image({ width, height, data: await inSlices(inverted(data), signal) });
  }
}

function* inverted(data: Uint8Array) {
  const out = new Uint8Array(data.length);
  yield* forEachIndex(data.length, (i) => {
    out[i] = 255 - (data[i] as number);
  });
  return out;
}
