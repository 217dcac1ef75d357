import { decibels } from '../compare/figures.js';
import type { QualityReport, QualityRow } from './report.js';

/** Costs at which kinds of policies are compared, as parts of a run without a cache. */
const PARTS = [1.5, 2, 2.5, 3, 4, 5];
/** A policy that is this much dearer still counts as one of that cost. */
const ROOM = 1.02;

/**
 * For each kind of policies the best of those that cost at most so much: mean decibels, and those of the worst picture.
 * Titles, then a line for each kind; nothing for reports without policies.
 */
export function frontTable({ rows }: QualityReport): string[][] {
  const policies = rows.slice(1).filter(({ policy }) => policy);
  if (policies.length === 0) return [];
  const families = [...new Set(policies.map(({ policy }) => policy?.family as string))];
  return [
    ['PSNR mean / worst at', ...PARTS.map((part) => `1/${part}`)],
    ...families.map((family) => [family, ...PARTS.map((part) => text(best(policies, family, ROOM / part)))]),
  ];
}

function best(rows: readonly QualityRow[], family: string, cost: number): QualityRow | undefined {
  return rows
    .filter(({ policy, macsSpeedup }) => policy?.family === family && 1 / macsSpeedup <= cost)
    .reduce<QualityRow | undefined>(
      (found, row) => (found && found.meanPsnr >= row.meanPsnr ? found : row),
      undefined,
    );
}

function text(row: QualityRow | undefined): string {
  if (!row) return '-';
  const number = (value: number) => decibels(value).replace(' dB', '');
  return `${number(row.meanPsnr)} / ${number(row.worstPsnr)}`;
}
