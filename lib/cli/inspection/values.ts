import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { native } from '../../native/binding.js';
import { summary } from './tensors.js';

/** The bits of the exponent: all are set in infinities and NaNs. */
const EXPONENTS: Readonly<
  Record<string, { array: new (data: ArrayBuffer) => Uint16Array | Uint32Array; bits: number }>
> = {
  F32: { array: Uint32Array, bits: 0x7f800000 },
  F16: { array: Uint16Array, bits: 0x7c00 },
  BF16: { array: Uint16Array, bits: 0x7f80 },
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
  const file = new (native().SafetensorsFile)(path);
  for (const { name, dtype } of file.tensors) {
    const exponent = Object.hasOwn(EXPONENTS, dtype) ? EXPONENTS[dtype] : undefined;
    if (!exponent) continue;
    onTensor(name);
    await yieldToLoop();
    signal.throwIfAborted();
    const count = countOnes(new exponent.array(file.read(name)), exponent.bits);
    if (count > 0) broken.push(`${name} (${count} of its values)`);
  }
  return summary('with values that are infinite or not numbers', broken);
}

function countOnes(values: Uint16Array | Uint32Array, bits: number): number {
  let count = 0;
  for (let i = 0; i < values.length; i++) if (((values[i] as number) & bits) === bits) count++;
  return count;
}
