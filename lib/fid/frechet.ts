import { invalidArgument } from '../errors.js';
import { native } from '../native/binding.js';
import { finish } from '../native/device.js';
import { FeatureSet } from './feature-set.js';
import type { FeatureStatistics } from './statistics.js';

/** How a distance is computed. */
export interface FrechetOptions {
  /** By default one for each core that the process may use. */
  threads?: number | undefined;
  /** Stops it. */
  signal?: AbortSignal | undefined;
}

/**
 * The Fréchet distance of two normal distributions (Heusel and others 2017), squared as it is published:
 * |mu1 - mu2|^2 + tr(sigma1 + sigma2 - 2 (sigma1 sigma2)^(1/2)).
 *
 * The trace of the root is that of a symmetric matrix with the eigenvalues of the product, F sigma2 transposed(F) with
 * transposed(F) F = sigma1, so that singular covariances are no special case: where scipy's root of the product fails on
 * them, pytorch-fid adds 1e-6 to both diagonals, which this does not.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for distributions of other sizes; the signal's reason.
 */
export async function frechetDistance(
  first: FeatureSet | FeatureStatistics,
  second: FeatureStatistics,
  { threads = 0, signal }: FrechetOptions = {},
): Promise<number> {
  const width = second.mu.length;
  const isSet = first instanceof FeatureSet;
  const factor = isSet ? first.factor() : undefined;
  const whole = factor ? undefined : isSet ? await first.statistics(signal) : first;
  const { mu } = (factor ?? whole) as { mu: Float64Array };
  const values = factor?.rows ?? (whole as FeatureStatistics).sigma;
  const isSquare = second.sigma.length === width * width;
  if (mu.length !== width || !isSquare || (whole && values.length !== width * width))
    throw invalidArgument('statistics', 'must be of the same number of features');
  const request = { width, first: values, isFactor: factor !== undefined, second: second.sigma, threads };
  const root = await finish(() => native().traceOfRoot(request), signal);
  // Of a factor, the squares of all its values are the trace.
  const own = factor ? values.reduce((sum, value) => sum + value * value, 0) : trace(values, width);
  const apart = mu.reduce((sum, value, i) => sum + (value - (second.mu[i] as number)) ** 2, 0);
  return apart + own + trace(second.sigma, width) - 2 * root;
}

function trace(matrix: Float64Array, width: number): number {
  let sum = 0;
  for (let i = 0; i < width; i++) sum += matrix[i * (width + 1)] as number;
  return sum;
}
