/** Of a diagonal: sums that say nearly the same must not get huge factors of opposite signs. */
const RIDGE = 1e-4;

/** The sum of products, from one value up to another one. */
export function product(a: Float32Array, b: Float32Array, from = 0, to = a.length): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

/** The solution of a few symmetric equations, by elimination; 0 for what nothing is known of. */
export function solved(matrix: readonly (readonly number[])[], wanted: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [
    ...row.map((value, k) => (k === i ? value * (1 + RIDGE) : value)),
    wanted[i] as number,
  ]);
  // With the ridge the matrix is positive definite: no row needs another place.
  for (const [i, row] of rows.entries()) {
    const pivot = row[i] as number;
    if (!(pivot > 0)) {
      row.fill(0);
      continue;
    }
    for (const [k, other] of rows.entries()) {
      const share = k === i ? 0 : (other[i] as number) / pivot;
      for (let c = i; c < other.length; c++) other[c] = (other[c] as number) - share * (row[c] as number);
    }
  }
  return rows.map((row, i) => ((row[i] as number) > 0 ? (row.at(-1) as number) / (row[i] as number) : 0));
}
