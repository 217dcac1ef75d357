import { writeFileSync } from 'node:fs';
import { native } from '../../lib/native/binding.js';
import { type Pickled, Tensor, torchZip } from './torch-writer.js';

const STORAGES: Readonly<Record<string, string>> = {
  F16: 'HalfStorage',
  F32: 'FloatStorage',
  I64: 'LongStorage',
};

/** Tensors of a safetensors file as torch.save would write them: those that are chosen by their index. */
export function pickled(file: string, choose: (index: number) => boolean = () => true) {
  const source = new (native().SafetensorsFile)(file);
  const value: Record<string, Pickled> = {};
  const storages: Record<string, Uint8Array> = {};
  for (const [i, { name, dtype, shape }] of source.tensors.entries()) {
    if (!choose(i)) continue;
    value[name] = new Tensor({ storage: STORAGES[dtype] as string, key: String(i), shape });
    storages[i] = new Uint8Array(source.read(name));
  }
  return { value, storages };
}

/** The same tensors in another file. */
export function pickledCopy(file: string, target: string): void {
  const { value, storages } = pickled(file);
  writeFileSync(target, torchZip(value, storages));
}
