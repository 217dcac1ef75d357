import { Command } from 'commander';
import { PUBLISHED_MACS, type PublishedRow } from '../configs/paper.js';
import { UNET_CONFIGS } from '../configs/unets.js';
import { DeepCacheError } from '../errors.js';
import { native } from '../native/binding.js';
import { finish } from '../native/device.js';
import type { UnetPlanInfo } from '../native/types.js';
import type { CliContext } from './context.js';
import { formatTable } from './format.js';
import { EXIT_CODES_HELP } from './run.js';

interface ReproducedRow extends PublishedRow {
  computed: number;
  difference: number;
  matches: boolean;
}

/** `deepcache reproduce`: the multiply-accumulates that the paper published, beside what its architectures cost. */
export function reproduceCommand(context: CliContext): Command {
  return new Command('reproduce')
    .description(
      "Compute the average multiply-accumulates of the DeepCache paper's tables from the configurations of their " +
        'models, and hold them against the published figures.',
    )
    .option('--json', 'print them as JSON')
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

export async function reproduce(signal?: AbortSignal): Promise<ReproducedRow[]> {
  const plans = new Map<string, UnetPlanInfo>();
  for (const model of new Set(PUBLISHED_MACS.map(({ model }) => model))) {
    plans.set(model, await planOf(model, signal));
  }
  return PUBLISHED_MACS.map((row) => {
    const plan = plans.get(row.model) as UnetPlanInfo;
    const full = plan.full.repo / 1e9;
    const retrieve = (plan.branches[row.branch]?.repo ?? 0) / 1e9;
    const fullSteps = Math.ceil(row.steps / row.interval);
    const computed = (fullSteps * full + (row.steps - fullSteps) * retrieve) / row.steps;
    const difference = computed - row.published;
    return { ...row, computed, difference, matches: Math.abs(difference) <= tolerance(row.published) };
  });
}

/** 0.02 billion, or half a unit of the published last digit where that is more. */
function tolerance(published: number): number {
  const digits = String(published).split('.')[1]?.length ?? 0;
  // A little more than half: published figures end in binary fractions that are not exact.
  return Math.max(0.02, 0.5 * 10 ** -digits) + 1e-9;
}

function planOf(model: string, signal: AbortSignal | undefined): Promise<UnetPlanInfo> {
  const config = UNET_CONFIGS[model] as Readonly<Record<string, unknown>>;
  const side = sampleSize(config);
  const size = { batch: 1, height: side, width: side, contextLength: model.startsWith('ldm') ? 1 : 77 };
  return finish(() => native().planUnet(JSON.stringify(config), size), signal);
}

function sampleSize(config: Readonly<Record<string, unknown>>): number {
  const nested = (config.params as { image_size?: number } | undefined)?.image_size;
  return Number(config.sample_size ?? config.image_size ?? nested ?? 64);
}

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
