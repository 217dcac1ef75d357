import { Command } from 'commander';
import { toNumber } from '../lib/cli/arguments.js';
import { type CliContext, ExitCode } from '../lib/cli/context.js';
import { formatBytes, formatTable } from '../lib/cli/format.js';
import { EXIT_CODES_HELP } from '../lib/cli/run.js';
import { StatusLine, WorkProgress } from '../lib/cli/status-line.js';
import { statOf } from '../lib/files/read.js';
import { readModelIndex } from '../lib/pipelines/loading/model-index.js';
import { openWeights } from '../lib/weights/open.js';
import type { StoredTensor } from '../lib/weights/stored-tensor.js';
import { compareTensors, type Difference } from './compare-tensors.js';
import { folderTasks } from './folder-tasks.js';
import { type Input, locateInput } from './inputs.js';
import { networksOf, readPart } from './model-parts.js';

interface Flags {
  tolerance: number;
  variant?: string;
  json?: boolean;
  all?: boolean;
  quiet?: boolean;
}

/** Differences that are listed one by one. */
const SHOWN = 20;

/** `weights-tools diff`: how the tensors of two files or folders differ. */
export function diffCommand(context: CliContext): Command {
  return new Command('diff')
    .description(
      'Compare the tensors of two files of weights or model folders: which are missing, have another shape, type or ' +
        'other values. A folder and a single file are compared under the names of diffusers.',
    )
    .argument('<first>', 'a file or a folder')
    .argument('<second>', 'a file or a folder')
    .option('--tolerance <size>', 'differences of values up to this are none', toNumber, 0)
    .option('--variant <name>', 'read weight files of this variant, such as fp16')
    .option('--all', `list all differences, not the first ${SHOWN} of a kind`)
    .option('--json', 'print them as JSON')
    .option('-q, --quiet', 'print nothing: the exit code says whether they differ')
    .addHelpText('after', `\nEnds with 1 where they differ.\n${EXIT_CODES_HELP}`)
    .action((first: string, second: string, flags: Flags) => diff([first, second], flags, context));
}

async function diff(paths: readonly [string, string], flags: Flags, context: CliContext): Promise<void> {
  const { signal } = context;
  const options = { variant: flags.variant, signal };
  const inputs: Input[] = [];
  for (const path of paths) inputs.push(await locateInput(path, signal));
  const isOfFiles = inputs.every(({ isFile }) => isFile);
  const tables = await Promise.all(
    inputs.map(async (input) =>
      isOfFiles ? (await openWeights(input.path, options)).tensors : tableOf(input, options),
    ),
  );
  const line = new StatusLine(context, !flags.quiet);
  const progress = new WorkProgress(line, 'compared', formatBytes);
  const found = await compareTensors(tables[0] as StoredTensor[], tables[1] as StoredTensor[], {
    onProgress: (done, total) => progress.update(done, total),
    signal,
  }).finally(() => line.clear());
  const values = found.values.filter(({ maxAbs }) => maxAbs === null || maxAbs > flags.tolerance);
  const difference = { ...found, values, same: found.same + found.values.length - values.length };
  if (flags.json) context.out(`${JSON.stringify(difference, null, 2)}\n`);
  else if (!flags.quiet) context.out(textOf(difference, paths, flags.all ? Number.POSITIVE_INFINITY : SHOWN));
  const { onlyInFirst, onlyInSecond, shapes, dtypes } = difference;
  if ([onlyInFirst, onlyInSecond, shapes, dtypes, values].some((list) => list.length > 0)) {
    context.exitCode = ExitCode.failure;
  }
}

/** All tensors of a model, with the names of its parts before their own; or those of one component. */
async function tableOf(
  { path, isFile }: Input,
  options: { variant?: string | undefined; signal: AbortSignal },
): Promise<StoredTensor[]> {
  const isModel = isFile || statOf(`${path}/model_index.json`) !== undefined;
  if (!isModel) {
    const tasks = await folderTasks(path, undefined, options);
    return tasks.flatMap(({ tensors }) => tensors.flatMap(({ pieces }) => pieces));
  }
  const { source, value } = await readModelIndex(path, { signal: options.signal });
  const parts = await Promise.all(networksOf(source, value).map((name) => readPart(source, name, options)));
  return parts.flatMap(({ name: part, tensors }) =>
    tensors
      // Buffers that transformers once saved, which single files have elsewhere or nowhere.
      .filter(({ name }) => !/(^|\.)position_ids$/.test(name))
      .map((tensor) => ({ ...tensor, name: `${part}.${tensor.name}` })),
  );
}

function textOf(difference: Difference, [first, second]: readonly [string, string], most: number): string {
  const { onlyInFirst, onlyInSecond, shapes, dtypes, values, same } = difference;
  const list = <T>(title: string, items: readonly T[], row: (item: T) => string[]) => {
    if (items.length === 0) return '';
    const more = items.length > most ? `  and ${items.length - most} more\n` : '';
    const rows = formatTable(items.slice(0, most).map((item) => ['', ...row(item)]));
    return `${items.length} ${title}:\n${rows}${more}`;
  };
  const shape = (extents: readonly number[]) => `[${extents.join(', ')}]`;
  const number = (value: number | null) => (value === null ? 'not comparable' : value.toPrecision(4));
  return [
    list(`only in ${first}`, onlyInFirst, (name) => [name]),
    list(`only in ${second}`, onlyInSecond, (name) => [name]),
    list('of another shape', shapes, (item) => [item.name, shape(item.first), shape(item.second)]),
    list('of another type', dtypes, (item) => [item.name, item.first, item.second]),
    list('with other values (largest difference, and as a share)', values, ({ name, maxAbs, maxRel }) => [
      name,
      number(maxAbs),
      number(maxRel),
    ]),
    `${same} with the same values\n`,
  ].join('');
}
