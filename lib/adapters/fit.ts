import { countOf } from '../tensor.js';
import type { Change } from './layer.js';

type Shape = readonly number[];

/**
 * Whether the outer sizes of a change's tensors are those of its weight: what tells a file for another model, before
 * anything is done with it. Native code looks at the rest.
 */
export function fitsWeight({ term, shape }: Pick<Change, 'term' | 'shape'>): boolean {
  const { up, down, mid, w1, w1_a, w1_b, w2, w2_a, w2_b, t1, t2, diff, weight } = term.tensors;
  const rows = shape[0] ?? 0;
  const width = countOf(shape) / rows;
  const inputs = shape[1] ?? 1;
  /** Columns of a factor whose first axis is the rank. */
  const columns = (tensor: Shape) => countOf(tensor) / (tensor[0] ?? 0);
  const count = (tensor: { shape: Shape } | undefined) => (tensor ? countOf(tensor.shape) : 0);
  const isLora = () => up?.shape[0] === rows && !!down && columns(down.shape) === (mid ? inputs : width);
  switch (term.kind) {
    case 'lora':
      return isLora();
    case 'glora':
      return isLora() && w1_a?.shape[0] === inputs && !!w1_b && columns(w1_b.shape) === inputs;
    case 'loha': {
      const half = (a: typeof w1_a, b: typeof w1_b, core: typeof t1) =>
        !!a &&
        !!b &&
        (core ? columns(a.shape) === rows : a.shape[0] === rows) &&
        columns(b.shape) === (core ? inputs : width);
      return half(w1_a, w1_b, t1) && half(w2_a, w2_b, t2);
    }
    case 'lokr': {
      const first = w1 ? count(w1) : (w1_a?.shape[0] ?? 0) * (w1_b ? columns(w1_b.shape) : 0);
      const inner = t2
        ? columns(w2_a?.shape ?? []) * columns(w2_b?.shape ?? []) * (width / inputs)
        : (w2_a?.shape[0] ?? 0) * columns(w2_b?.shape ?? []);
      return first * (w2 ? count(w2) : inner) === rows * width;
    }
    case 'ia3':
      return count(weight) === (term.onInput ? inputs : rows);
    case 'full':
      return count(diff) === rows * width;
  }
}
