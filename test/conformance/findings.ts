import { type Comparison, compareValues, type Tolerance } from './compare.js';
import type { GoldenCase } from './goldens.js';
import { deviceTolerance, type Precision } from './precision.js';

/** What a check finds out about a case. A case passes when it made a comparison and all of them hold. */
export class Findings {
  constructor(
    private readonly golden: GoldenCase,
    private readonly precision: Precision = 'fp32',
    readonly comparisons: Comparison[] = [],
  ) {}

  /** Findings about another case that count for this one. */
  about(golden: GoldenCase): Findings {
    return new Findings(golden, this.precision, this.comparisons);
  }

  /** The same that do not. */
  apart(golden: GoldenCase): Findings {
    return new Findings(golden, this.precision);
  }

  /** How exact a role is: as the device computes, in fp32 as the manifest or `own` says. */
  toleranceOf(role: string, own: Tolerance | undefined = this.golden.tolerance): Tolerance | undefined {
    return deviceTolerance(this.golden, role, this.precision) ?? own;
  }

  /** Compares with the case's tensor of a role. */
  tensor(
    role: string,
    actual: ArrayLike<number | bigint>,
    tolerance: Tolerance | undefined = this.toleranceOf(role),
  ): void {
    const { data, shape } = this.golden.tensor(role);
    this.comparisons.push(compareValues(role, actual, data, tolerance, shape));
  }

  /** Passes if one of several stored variants fits. */
  anyTensor(roles: readonly string[], actual: ArrayLike<number | bigint>): void {
    const tried = roles.map((role) => {
      const { data, shape } = this.golden.tensor(role);
      return compareValues(role, actual, data, this.golden.tolerance, shape);
    });
    this.comparisons.push(tried.find(({ ok }) => ok) ?? (tried[0] as Comparison));
  }

  /** Compares numbers that have no tensor of their own. */
  values(
    role: string,
    actual: ArrayLike<number>,
    expected: ArrayLike<number>,
    tolerance: Tolerance | undefined = this.golden.tolerance,
    shape?: readonly number[],
  ): void {
    this.comparisons.push(compareValues(role, actual, expected, tolerance, shape));
  }

  /** Compares values that are plain data: they must be the same. */
  equal(role: string, actual: unknown, expected: unknown): void {
    const [got, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
    this.fact(role, got === wanted, got === wanted ? 'the same' : `${got} instead of ${wanted}`);
  }

  fact(role: string, ok: boolean, detail: string): void {
    this.comparisons.push({ role, ok, detail });
  }
}
