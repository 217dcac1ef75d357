import { native } from '../../../lib/native/binding.js';
import type { NativeGenerator } from '../../../lib/native/types.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';

type Dtype = 'float32' | 'float16' | 'float64';

/** torch's CPU generator. Where two of torch's code paths differ both outputs are stored, and either is right. */
export function checkRandom(golden: GoldenCase, findings: Findings): void {
  const seed = seedOf(golden);
  const generator = new (native().Generator)(BigInt(seed));
  // Cases of kind seq with one seed are draws of one generator, in the manifest's order.
  if (golden.kind === 'seq') {
    const earlier = golden.siblings.slice(0, golden.siblings.indexOf(golden));
    for (const other of earlier) {
      if (other.kind === 'seq' && seedOf(other) === seed) draw(other, generator);
    }
  }
  const roles = golden.roles.filter((role) => /^(default_)?out(_|$)/.test(role));
  findings.anyTensor(roles, draw(golden, generator));
}

function draw(golden: GoldenCase, generator: NativeGenerator): ArrayLike<number> {
  const count = golden.field<number>('numel') as number;
  if (golden.kind === 'rand_f32') return generator.rand(count);
  if (golden.kind === 'raw_u32') return Array.from({ length: count }, () => secondWord(generator));
  return generator.randn(count, golden.field<Dtype>('dtype') as Dtype);
}

/** torch's randint takes 64 bits and keeps the low ones. */
function secondWord(generator: NativeGenerator): number {
  generator.nextUint32();
  return generator.nextUint32();
}

function seedOf(golden: GoldenCase): number {
  return golden.field<number>('seed') as number;
}
