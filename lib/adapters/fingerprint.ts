import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { invalidWeights, messageOf } from '../errors.js';
import type { StoredTensor } from '../weights/stored-tensor.js';

/**
 * What tells an adapter's file from others, as the usual web UIs and model sites write it into pictures: the first 12
 * digits of the SHA-256 of all that follows a safetensors file's header, which tools may rewrite; of other files that of
 * all bytes.
 */
export async function fingerprintOf(
  path: string,
  tensors: readonly StoredTensor[],
  isSafetensors: boolean,
  signal: AbortSignal | undefined,
): Promise<string> {
  const hash = createHash('sha256');
  const start =
    isSafetensors && tensors.length > 0
      ? tensors.reduce((least, { offset }) => Math.min(least, offset), Number.MAX_SAFE_INTEGER)
      : 0;
  try {
    for await (const part of createReadStream(path, { start, ...(signal && { signal }) })) hash.update(part);
  } catch (error) {
    signal?.throwIfAborted();
    throw invalidWeights(path, `cannot be read: ${messageOf(error)}`, { cause: error });
  }
  return hash.digest('hex').slice(0, 12);
}
