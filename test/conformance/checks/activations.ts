import type { Tap } from '../../../lib/native/types.js';
import { concat } from '../../../lib/tensor.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';

/** Before the name of a module, in the two dialects. */
const PREFIX = /^act[/.]/;

/**
 * Compares the activations that a pass labelled with the stored ones of the same module. Those that `required` matches
 * must have been labelled; others may be missing, as fused operations have no value of their own for them.
 *
 * @param rename a module's name in the golden -> diffusers' name, which plans label.
 */
export function compareActivations(
  golden: GoldenCase,
  findings: Findings,
  taps: readonly Tap[] = [],
  required: RegExp,
  rename: (module: string) => string = (module) => module,
): void {
  const byName = new Map(taps.map((tap) => [tap.name, tap]));
  for (const role of golden.roles) {
    if (!PREFIX.test(role)) continue;
    const module = role.replace(PREFIX, '');
    const tap = byName.get(rename(module));
    if (tap) findings.tensor(role, inTorchOrder(tap, golden.tensor(role).shape));
    else if (required.test(module)) findings.fact(role, false, 'no such activation');
  }
}

/** Plans work in NHWC, so that tokens and rows are in torch's order, and pictures are not. */
export function inTorchOrder(tap: Tap, shape: readonly number[]): Float32Array {
  if (shape.length === 4) return nchw(tap);
  // Samples that share a timestep share its embedding.
  const [rows = 1, width] = shape;
  const shared = shape.length === 2 && tap.data.length === width;
  return shared ? concat(new Array<Float32Array>(rows).fill(tap.data)) : tap.data;
}

function nchw({ shape, data }: Tap): Float32Array {
  const [n = 0, h = 0, w = 0, c = 0] = shape;
  const pixels = h * w;
  const out = new Float32Array(data.length);
  for (let image = 0; image < n; image++) {
    for (let pixel = 0; pixel < pixels; pixel++) {
      for (let channel = 0; channel < c; channel++) {
        out[(image * c + channel) * pixels + pixel] = data[(image * pixels + pixel) * c + channel] as number;
      }
    }
  }
  return out;
}
