/**
 * For each node of a polynomial through all of them, the integral from `from` to `to` of exp(rate * (u - to)) times the
 * Lagrange polynomial that is 1 there and 0 at the others: how much of a value at the node a step of an exponential
 * integrator takes. Exact up to rounding; for few nodes, as it expands the polynomials.
 *
 * @param rate not 0.
 */
export function lagrangeIntegrals(
  nodes: readonly number[],
  { from, to, rate }: { from: number; to: number; rate: number },
): number[] {
  const moments = momentsOf(from - to, rate, nodes.length);
  return nodes.map((node, i) => {
    // Coefficients in u - to, the constant first.
    let polynomial = [1];
    for (const [k, other] of nodes.entries()) {
      if (k === i) continue;
      const scale = 1 / (node - other);
      const constant = to - other;
      polynomial = [...polynomial, 0].map(
        (value, power) => scale * (constant * value + (polynomial[power - 1] ?? 0)),
      );
    }
    return polynomial.reduce((sum, value, power) => sum + value * (moments[power] as number), 0);
  });
}

/** The integrals from `start` to 0 of v^k * exp(rate * v) for k from 0 on, by parts. */
function momentsOf(start: number, rate: number, count: number): number[] {
  const moments = [-Math.expm1(rate * start) / rate];
  for (let k = 1; k < count; k++) {
    moments.push(-(start ** k * Math.exp(rate * start) + k * (moments[k - 1] as number)) / rate);
  }
  return moments;
}
