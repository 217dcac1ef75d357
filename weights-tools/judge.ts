import { Command } from 'commander';
import type { CliContext } from '../lib/cli/context.js';
import { formatTable } from '../lib/cli/format.js';
import { EXIT_CODES_HELP } from '../lib/cli/run.js';
import { errorShare, type JudgeErrorRow, judgeErrors, readDrawn } from './judge-error.js';

/** `weights-tools judge`: the judge's own error, on drawn pictures. */
export function judgeCommand(context: CliContext): Command {
  return new Command('judge')
    .description(
      "Measure the error of the demo model's judge on drawn pictures, of which it is known what they show.",
    )
    .argument('<folder>', 'what weights-tools/demo-model/judge_data.py has drawn')
    .option('--json', 'print it as JSON')
    .addHelpText('after', EXIT_CODES_HELP)
    .action(async (folder: string, { json }: { json?: boolean }) => {
      const drawn = await readDrawn(folder);
      const rows = await judgeErrors(drawn);
      const report = { pictures: drawn.length, error: errorShare(rows), rows };
      context.out(json ? `${JSON.stringify(report, null, 2)}\n` : judgeText(rows, drawn.length));
    });
}

function judgeText(rows: readonly JudgeErrorRow[], pictures: number): string {
  const percent = (list: readonly JudgeErrorRow[]) => `${(100 * errorShare(list)).toFixed(2)} %`;
  const sum = (key: 'drawn' | 'missed' | 'invented') => rows.reduce((all, row) => all + row[key], 0);
  const line = (name: string, drawn: number, missed: number, invented: number, error: string) => [
    ...[name, drawn, missed, invented].map(String),
    error,
  ];
  return formatTable([
    ['kind', 'drawn', 'missed', 'invented', 'error'],
    ...rows.map((row) => line(row.attribute, row.drawn, row.missed, row.invented, percent([row]))),
    line(`all, ${pictures} pictures`, sum('drawn'), sum('missed'), sum('invented'), percent(rows)),
  ]);
}
