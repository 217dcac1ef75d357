import { native } from '../../native/binding.js';
import type { NativeSafetensorsFile } from '../../native/safetensors-file.js';
import type { TensorShape } from '../../native/types.js';

type TensorInfo = Pick<NativeSafetensorsFile['tensors'][number], 'name' | 'dtype' | 'shape'>;

const USABLE = ['F32', 'F16', 'BF16', 'F64', 'F8_E4M3', 'F8_E5M2'];
const SHOWN = 5;

/** Buffers that transformers once saved with the weights, and the rest of a whole CLIP model: nothing reads them. */
const HARMLESS =
  /(^|\.)(position_ids|logit_scale)$|(^|\.)(text_model|vision_model|text_projection|visual_projection)\./;

/** What is wrong with the tensors of a model's files, given those that its configuration asks for. */
export function tensorProblems(
  expected: readonly TensorShape[],
  files: readonly { readonly tensors: readonly TensorInfo[] }[],
): string[] {
  const found = new Map<string, TensorInfo>();
  const twice: string[] = [];
  for (const tensor of files.flatMap((file) => file.tensors)) {
    if (found.has(tensor.name)) twice.push(tensor.name);
    found.set(tensor.name, tensor);
  }
  const missing: string[] = [];
  const misshapen: string[] = [];
  const unusable: string[] = [];
  const stored = native().matchTensors(
    [...found.keys()],
    expected.map(({ name }) => name),
  );
  for (const [i, { name, shape }] of expected.entries()) {
    const tensor = found.get(stored[i] ?? name);
    if (!tensor) {
      missing.push(`${name} [${shape.join(', ')}]`);
      continue;
    }
    found.delete(tensor.name);
    if (!isSameShape(tensor.shape, shape)) {
      misshapen.push(`${name} is [${tensor.shape.join(', ')}], expected [${shape.join(', ')}]`);
    }
    if (!USABLE.includes(tensor.dtype)) unusable.push(`${name} is ${tensor.dtype}`);
  }
  const unexpected = [...found.keys()].filter((name) => !HARMLESS.test(name));
  return [
    ...summary('missing', missing),
    ...summary('of another shape than the configuration asks for', misshapen),
    ...summary(`of a type that cannot be computed with (${USABLE.join(', ')} can)`, unusable),
    ...summary('that the configuration does not ask for', unexpected),
    ...summary('in more than one file', twice),
  ];
}

/** "2 tensors WHAT: NAME; NAME", or nothing when there are none. */
export function summary(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const shown = names.slice(0, SHOWN).join('; ');
  const more = names.length > SHOWN ? `; and ${names.length - SHOWN} more` : '';
  return [`${names.length} tensor${names.length === 1 ? '' : 's'} ${what}: ${shown}${more}`];
}

/** A linear layer may be stored as a 1x1 convolution, and the other way round. */
function isSameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length === 0 || (a.length === 1) !== (b.length === 1)) return false;
  const length = Math.max(a.length, b.length);
  return Array.from({ length }, (_, i) => (a[i] ?? 1) === (b[i] ?? 1)).every(Boolean);
}
