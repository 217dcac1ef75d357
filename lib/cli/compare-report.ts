import { COLUMNS } from '../compare/figures.js';
import type { ComparedRun, Comparison } from '../compare/index.js';
import { formatTable } from './format.js';

/** The figures as a table, then the files. */
export function comparisonText(
  { reference, runs, seeds, device }: Comparison,
  files: readonly string[],
): string {
  const row = (run: ComparedRun) => COLUMNS.map(({ text }) => text(run));
  const table = formatTable([COLUMNS.map(({ title }) => title), ...[reference, ...runs].map(row)]);
  return `${table}\nseed ${seeds.join(', ')} on ${device}\n${files.join('\n')}\n`;
}

/** Times in seconds. PSNR, SSIM and distances that are no numbers in JSON are texts: 'Infinity', 'NaN'. */
export function comparisonJson(comparison: Comparison, model: string, files: readonly string[]): string {
  return `${JSON.stringify({ files, model, ...comparison.toJSON() }, null, 2)}\n`;
}
