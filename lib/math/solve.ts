/**
 * Solves A X = B by Gaussian elimination with partial pivoting. `a` has n rows of n numbers, `b` n rows, one column for
 * each right side; neither is changed. Returns X, of b's shape. A singular `a` gives values that are not finite.
 */
export function solve(a: readonly ArrayLike<number>[], b: readonly ArrayLike<number>[]): number[][] {
  const n = a.length;
  const rows = a.map((row, i) => [...Array.from(row), ...Array.from(b[i] as ArrayLike<number>)]);
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let r = column + 1; r < n; r++) {
      if (Math.abs(rows[r]?.[column] as number) > Math.abs(rows[pivot]?.[column] as number)) pivot = r;
    }
    [rows[column], rows[pivot]] = [rows[pivot] as number[], rows[column] as number[]];
    const top = rows[column] as number[];
    for (const [r, row] of rows.entries()) {
      if (r === column) continue;
      const factor = (row[column] as number) / (top[column] as number);
      for (let c = column; c < row.length; c++) row[c] = (row[c] as number) - factor * (top[c] as number);
    }
  }
  return rows.map((row, i) => row.slice(n).map((value) => value / (row[i] as number)));
}
