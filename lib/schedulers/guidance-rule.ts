import type { GuidanceRule } from './table.js';

type Vector = readonly number[];

const dot = (a: Vector, b: Vector) => a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
/** a * x + b * y */
const combine = (a: number, x: Vector, b: number, y: Vector) =>
  x.map((value, i) => a * value + b * (y[i] as number));

/**
 * What a rule makes of a sample's outputs u and c, step by step as {@link GuidanceRule} says it.
 *
 * @param average of the sample, which is brought up to date; needed with a momentum.
 */
export function applyRule(
  rule: GuidanceRule,
  scale: number,
  [u, c]: readonly [Vector, Vector],
  average: Float32Array | Float64Array | undefined,
): Vector {
  const { kind, fromConditional = false, momentum } = rule;
  const begin = (from: Vector, by: number, d: Vector) => combine(1, fromConditional ? c : from, by, d);
  let d = combine(1, c, -1, u);
  if (momentum !== undefined && average) {
    average.set(combine(1, d, momentum, [...average]));
    if (kind === 'projected') d = [...average];
  }
  switch (kind) {
    case 'zero':
      return u.map(() => 0);
    case 'averaging':
      return begin(u, scale, d);
    case 'zeroStar':
    case 'tangential': {
      const other = kind === 'zeroStar' ? bestOf(u, c) : alongBoth(u, c);
      return begin(other, scale, combine(1, c, -1, other));
    }
    case 'projected':
      return begin(u, scale, projected(d, c, rule));
    case 'magnitude': {
      const fading = Math.exp(-(rule.alpha ?? 0) * Math.sqrt(dot(d, d) / dot(u, u)));
      return begin(u, fromConditional ? scale * fading : 1 + (scale - 1) * fading, d);
    }
  }
}

/** The multiple of u that comes nearest to c. */
function bestOf(u: Vector, c: Vector): Vector {
  return combine(dot(u, c) / (dot(u, u) + 1e-8), u, 0, u);
}

/** u's part along the first right singular vector of [c, u]: the main axis of their ellipse. */
function alongBoth(u: Vector, c: Vector): Vector {
  const angle = Math.atan2(2 * dot(u, c), dot(c, c) - dot(u, u)) / 2;
  const axis = combine(Math.cos(angle), c, Math.sin(angle), u);
  const size = dot(axis, axis);
  return size > 0 ? combine(dot(u, axis) / size, axis, 0, axis) : u;
}

function projected(d: Vector, c: Vector, { eta = 1, limit = 0 }: GuidanceRule): Vector {
  const length = Math.sqrt(dot(d, d));
  const short = limit > 0 && length > limit ? combine(limit / length, d, 0, d) : d;
  const size = dot(c, c);
  const parallel = combine(size > 0 ? dot(short, c) / size : 0, c, 0, c);
  return combine(1, short, eta - 1, parallel);
}
