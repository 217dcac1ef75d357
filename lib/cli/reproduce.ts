import { Command } from 'commander';
import { DeepCacheError } from '../errors.js';
import { type ReproducedRow, reproduce } from '../reproduce/index.js';
import type { CliContext } from './context.js';
import { formatTable } from './format.js';
import { EXIT_CODES_HELP } from './run.js';

/** `deepcache reproduce`: the multiply-accumulates that the paper published, beside what its architectures cost. */
export function reproduceCommand(context: CliContext): Command {
  return new Command('reproduce')
    .description(
      "Compute the average multiply-accumulates of the DeepCache paper's tables from the configurations of their " +
        'models, and compare them with the published figures.',
    )
    .option('--json', 'print the figures as JSON')
    .addHelpText('after', `${HELP}\n${EXIT_CODES_HELP}`)
    .action(async ({ json }: { json?: boolean }) => {
      const rows = await reproduce(context.signal);
      context.out(json ? `${JSON.stringify(rows, null, 2)}\n` : reproduceText(rows));
      const wrong = rows.filter(({ matches, exception }) => !matches && !exception);
      if (wrong.length === 0) return;
      const names = wrong.map(({ row }) => row).join('; ');
      throw new DeepCacheError('ERR_DEEPCACHE_INTERNAL', `${wrong.length} figures differ: ${names}`);
    });
}

const HELP = `
Figures are billions of multiply-accumulates per step and sample (GMACs), by the counter of the paper's code (column
"repo" of \`deepcache macs\`), averaged over a run in which every Nth step is full.`;

function reproduceText(rows: readonly ReproducedRow[]): string {
  const header = ['table', 'row', 'published', 'computed', 'branch', ''];
  const lines = rows.map(({ table, row, published, computed, branch, interval, matches, exception }) => [
    table,
    row,
    String(published),
    computed.toFixed(3),
    interval === 1 ? '-' : String(branch),
    matches ? 'the same' : `differs: ${exception ?? 'unexpectedly'}`,
  ]);
  return formatTable([header, ...lines]);
}
