import { writeFileSync } from 'node:fs';
import type { CaseResult, Status } from './runner.js';

/** Comparisons of a failed case that are shown. */
const SHOWN = 4;

/** How many cases have the status. */
export function count(results: readonly CaseResult[], status: Status): number {
  return results.filter((result) => result.status === status).length;
}

/** The report: what failed, what is not supported, counts by part and family, and the summary as the last line. */
export function formatReport(results: readonly CaseResult[]): string {
  const failed = results.filter(({ status }) => status === 'failed');
  return [
    ...failed.flatMap(formatFailure),
    ...section('not supported yet', unsupported(results)),
    ...section('passed / failed / not supported yet', tally(results)),
    summary(results),
  ].join('\n');
}

/** `N passed, N failed, N not supported yet` */
export function summary(results: readonly CaseResult[]): string {
  const [passed, failed, rest] = (['passed', 'failed', 'not supported'] as const).map((s) =>
    count(results, s),
  );
  return `${passed} passed, ${failed} failed, ${rest} not supported yet`;
}

/** Every case with all that was compared. */
export function writeJson(
  path: string,
  results: readonly CaseResult[],
  about: Record<string, unknown>,
): void {
  const totals = {
    passed: count(results, 'passed'),
    failed: count(results, 'failed'),
    notSupported: count(results, 'not supported'),
  };
  // JSON has no NaN and no infinity.
  const plain = (_: string, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
  writeFileSync(path, `${JSON.stringify({ ...about, ...totals, cases: results }, plain, 1)}\n`);
}

function formatFailure({ name, reason, comparisons }: CaseResult): string[] {
  const wrong = comparisons.filter(({ ok }) => !ok);
  const lines = wrong.slice(0, SHOWN).map(({ role, detail }) => `  ${role}: ${detail}`);
  if (wrong.length > SHOWN) lines.push(`  and ${wrong.length - SHOWN} more roles`);
  if (reason) lines.push(`  ${reason}`);
  return [`FAILED ${name}`, ...lines];
}

function unsupported(results: readonly CaseResult[]): string[] {
  const reasons = new Map<string, number>();
  for (const { status, reason = '' } of results) {
    if (status === 'not supported') reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  return [...reasons].map(([reason, cases]) => `${String(cases).padStart(5)}  ${reason}`);
}

/** A line for each group, after a family's groups one for the family. */
function tally(results: readonly CaseResult[]): string[] {
  const families = groupBy(results, ({ name }) => name.split('/', 1)[0] as string);
  return [...families].flatMap(([family, cases]) => {
    const groups = groupBy(cases, ({ group }) => group);
    const lines = [...groups].map(([group, own]) => counts(`  ${group}`, own));
    return [...lines, counts(family, cases)];
  });
}

function counts(label: string, results: readonly CaseResult[]): string {
  const numbers = (['passed', 'failed', 'not supported'] as const).map((s) => count(results, s));
  return `${numbers.map((n) => String(n).padStart(5)).join('')}  ${label}`;
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item)) ?? [];
    group.push(item);
    groups.set(key(item), group);
  }
  return groups;
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length > 0 ? ['', `${title}:`, ...lines, ''] : [];
}
