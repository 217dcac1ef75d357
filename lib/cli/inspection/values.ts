import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { openWeights } from '../../weights/open.js';
import { StoredValues } from '../../weights/values.js';
import { summary } from './tensors.js';

/** By dtype: where exponents are, all whose bits are set in infinities and NaNs. e4m3 has one NaN, and no infinities. */
const EXPONENTS: Readonly<Record<string, { bytes: 1 | 2 | 4 | 8; bits: number }>> = {
  F64: { bytes: 8, bits: 0x7ff00000 },
  F32: { bytes: 4, bits: 0x7f800000 },
  F16: { bytes: 2, bits: 0x7c00 },
  BF16: { bytes: 2, bits: 0x7f80 },
  F8_E5M2: { bytes: 1, bits: 0x7c },
  F8_E4M3: { bytes: 1, bits: 0x7f },
};

/**
 * Reads all weights of a file, and says which are infinite or not numbers. Takes as long as reading the file.
 *
 * @param onTensor called for every tensor before it is read.
 * @throws the signal's reason after an abort.
 */
export async function valueProblems(
  path: string,
  onTensor: (name: string) => void,
  signal: AbortSignal,
): Promise<string[]> {
  const broken: string[] = [];
  const { tensors } = await openWeights(path, { signal });
  await StoredValues.with({ signal }, async (values) => {
    for (const tensor of tensors) {
      const exponent = Object.hasOwn(EXPONENTS, tensor.dtype) ? EXPONENTS[tensor.dtype] : undefined;
      if (!exponent) continue;
      onTensor(tensor.name);
      await yieldToLoop();
      signal.throwIfAborted();
      const count = countOnes(await values.read(tensor), exponent);
      if (count > 0) broken.push(`${tensor.name} (${count} of its values)`);
    }
  });
  return summary('with values that are infinite or not numbers', broken);
}

function countOnes(data: Buffer, { bytes, bits }: { bytes: 1 | 2 | 4 | 8; bits: number }): number {
  // Of 8 bytes, the upper half has the exponent.
  const step = bytes === 8 ? 2 : 1;
  const words = arrayOf(data, bytes);
  let count = 0;
  for (let i = step - 1; i < words.length; i += step) if (((words[i] as number) & bits) === bits) count++;
  return count;
}

function arrayOf(data: Buffer, bytes: 1 | 2 | 4 | 8): Uint8Array | Uint16Array | Uint32Array {
  if (bytes === 1) return data;
  // A buffer may begin anywhere.
  const { buffer } = Uint8Array.from(data);
  return bytes === 2 ? new Uint16Array(buffer) : new Uint32Array(buffer);
}
