/** The sum of factor * values. */
export function mix(...parts: readonly (readonly [factor: number, values: Float32Array])[]): Float32Array {
  const [[first, values]] = parts as [[number, Float32Array]];
  const sum = Float64Array.from(values, (value) => first * value);
  for (const [factor, others] of parts.slice(1)) {
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + factor * (others[i] as number);
  }
  return Float32Array.from(sum);
}

/** The mean absolute value, or distance from others. */
export function meanAbsolute(values: Float32Array, others?: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.abs((values[i] as number) - (others?.[i] ?? 0));
  return sum / values.length;
}

/** The mean of products. */
export function meanProduct(values: Float32Array, others: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) * (others[i] as number);
  return sum / values.length;
}

/** At `at`, the polynomial that takes the values at the places (Lagrange's form). */
export function interpolate(
  places: readonly number[],
  values: readonly Float32Array[],
  at: number,
): Float32Array {
  const weights = places.map((place, i) =>
    places.reduce((product, other, j) => (i === j ? product : (product * (at - other)) / (place - other)), 1),
  );
  return mix(...weights.map((weight, i) => [weight, values[i] as Float32Array] as const));
}
