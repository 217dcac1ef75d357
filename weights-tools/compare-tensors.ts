import { floatsOf, isFloatType } from '../lib/weights/floats.js';
import type { StoredTensor } from '../lib/weights/stored-tensor.js';
import { StoredValues } from '../lib/weights/values.js';

/** How two sets of tensors differ. */
export interface Difference {
  /** Names that only one of them has. */
  readonly onlyInFirst: readonly string[];
  readonly onlyInSecond: readonly string[];
  /** Of another shape; their values are not compared. */
  readonly shapes: readonly { name: string; first: readonly number[]; second: readonly number[] }[];
  /** Of another type; values are compared as numbers. */
  readonly dtypes: readonly { name: string; first: string; second: string }[];
  /** Of the same shape and other values, the largest difference first. */
  readonly values: readonly ValueDifference[];
  /** Tensors whose values are the same. */
  readonly same: number;
}

export interface ValueDifference {
  readonly name: string;
  /** The largest difference of two values; null where that is no number, or for values that are no floats. */
  readonly maxAbs: number | null;
  /** The same, as a share of the larger of the two. */
  readonly maxRel: number | null;
}

/** Compares tensors of the same names, two of them in memory at a time. */
export async function compareTensors(
  first: readonly StoredTensor[],
  second: readonly StoredTensor[],
  { onProgress, signal }: { onProgress?: (done: number, total: number) => void; signal?: AbortSignal } = {},
): Promise<Difference> {
  const [a, b] = [first, second].map(
    (tensors) => new Map(tensors.map((tensor) => [tensor.name, tensor])),
  ) as [Map<string, StoredTensor>, Map<string, StoredTensor>];
  const shared = [...a.values()].flatMap((tensor) => {
    const other = b.get(tensor.name);
    return other ? [[tensor, other] as const] : [];
  });
  const hasShape = ([x, y]: readonly [StoredTensor, StoredTensor]) => x.shape.join() === y.shape.join();
  const comparable = shared.filter(hasShape);
  const total = comparable.reduce((sum, [x, y]) => sum + x.bytes + y.bytes, 0);
  const values: ValueDifference[] = [];
  let done = 0;
  await StoredValues.with({ signal }, async (stored) => {
    for (const [x, y] of comparable) {
      signal?.throwIfAborted();
      const found = differenceOf(x, await stored.read(x), y, await stored.read(y));
      if (found) values.push({ name: x.name, ...found });
      done += x.bytes + y.bytes;
      onProgress?.(done, total);
    }
  });
  const size = ({ maxAbs }: ValueDifference) => maxAbs ?? Number.POSITIVE_INFINITY;
  return {
    onlyInFirst: [...a.keys()].filter((name) => !b.has(name)),
    onlyInSecond: [...b.keys()].filter((name) => !a.has(name)),
    shapes: shared
      .filter((pair) => !hasShape(pair))
      .map(([x, y]) => ({ name: x.name, first: x.shape, second: y.shape })),
    dtypes: shared
      .filter(([x, y]) => x.dtype !== y.dtype)
      .map(([x, y]) => ({ name: x.name, first: x.dtype, second: y.dtype })),
    values: values.sort((x, y) => (size(x) === size(y) ? 0 : size(y) - size(x))),
    same: comparable.length - values.length,
  };
}

function differenceOf(
  x: StoredTensor,
  xData: Buffer,
  y: StoredTensor,
  yData: Buffer,
): Omit<ValueDifference, 'name'> | undefined {
  if (x.dtype === y.dtype && xData.equals(yData)) return undefined;
  if (!isFloatType(x.dtype) || !isFloatType(y.dtype)) return { maxAbs: null, maxRel: null };
  const [a, b] = [
    floatsOf(Uint8Array.from(xData).buffer, x.dtype),
    floatsOf(Uint8Array.from(yData).buffer, y.dtype),
  ];
  let maxAbs = 0;
  let maxRel = 0;
  for (let i = 0; i < a.length; i++) {
    const [p, q] = [a[i] as number, b[i] as number];
    if (Object.is(p, q) || p === q) continue;
    const distance = Math.abs(p - q);
    if (!Number.isFinite(distance)) return { maxAbs: null, maxRel: null };
    if (distance > maxAbs) maxAbs = distance;
    const share = distance / Math.max(Math.abs(p), Math.abs(q));
    if (share > maxRel) maxRel = share;
  }
  return maxAbs === 0 ? undefined : { maxAbs, maxRel };
}
