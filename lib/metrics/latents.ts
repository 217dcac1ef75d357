import { invalidArgument } from '../errors.js';

/**
 * Relative L2 distance, |values - reference| / |reference|: 0 for equal ones, about 1.4 for unrelated noise of the
 * same size. Of latents it says how far a cached run has strayed, without what the autoencoder hides.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for different numbers of values.
 */
export function relativeL2(values: ArrayLike<number>, reference: ArrayLike<number>): number {
  if (values.length !== reference.length) {
    throw invalidArgument('values', `has ${values.length} numbers, the reference ${reference.length}`);
  }
  let [error, norm] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    const wanted = reference[i] as number;
    error += ((values[i] as number) - wanted) ** 2;
    norm += wanted ** 2;
  }
  // Also where the reference is all zeros: equal is no distance, anything else an infinite one.
  return error === 0 ? 0 : Math.sqrt(error / norm);
}
