import { DeepCacheError } from '../errors.js';
import { show } from '../messages.js';

// Keys that tell what a file is, where that cannot be applied: to leave them out would make another picture than the
// file's maker saw.

/** LyCORIS (oft_blocks), kohya_ss (oft_diag), PEFT (oft_R, boft_R, vera_lambda_b, hra_u …). */
const METHODS: readonly (readonly [RegExp, string])[] = [
  [/\.(?:b?oft_(?:blocks|diag|[rRs]))(?:\.|$)/, 'OFT or BOFT, a rotation of the weights'],
  [/\.vera_lambda_[bd](?:\.|$)/, 'VeRA, whose factors are random numbers that are not in the file'],
  [/\.hra_u(?:\.|$)/, 'HRA, a reflection of the weights'],
];

/** The kind of adapter that is not computed which keys are of, and the first such key. */
export function refusedKind(keys: Iterable<string>): { kind: string; key: string } | undefined {
  for (const key of keys) {
    const method = METHODS.find(([pattern]) => pattern.test(key));
    if (method) return { kind: method[1], key };
  }
  return undefined;
}

/** @throws DeepCacheError ERR_DEEPCACHE_UNSUPPORTED for kinds of adapters that are not computed. */
export function refuseOthers(path: string, keys: Iterable<string>): void {
  const found = refusedKind(keys);
  if (!found) return;
  throw new DeepCacheError(
    'ERR_DEEPCACHE_UNSUPPORTED',
    `${path}: is an adapter of the kind ${found.kind}, which is not supported: it holds ${show(found.key)}`,
  );
}
