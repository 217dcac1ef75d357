import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { toDtype } from '../lib/cli/arguments.js';
import type { CliContext } from '../lib/cli/context.js';
import { EXIT_CODES_HELP } from '../lib/cli/run.js';
import { invalidArgument, invalidConfig } from '../lib/errors.js';
import { readModelIndex } from '../lib/pipelines/loading/model-index.js';
import { openWeights } from '../lib/weights/open.js';
import { folderTasks, networkTasks } from './folder-tasks.js';
import { plain } from './model-parts.js';
import { checkFolder, isWeightsFile, prepareFile, toBytes } from './outputs.js';
import { runTasks, type Task } from './run-tasks.js';
import { singleFileTensors } from './single-file.js';

interface Flags {
  output: string;
  dtype?: 'fp32' | 'fp16' | 'bf16';
  variant?: string;
  outputVariant?: string;
  maxShardSize?: number;
  config?: string;
  useEma?: boolean;
  force?: boolean;
  quiet?: boolean;
}

const DTYPES = { fp32: 'F32', fp16: 'F16', bf16: 'BF16' } as const;

/** `weights-tools convert`: weights in another type or layout. Always writes safetensors. */
export function convertCommand(context: CliContext): Command {
  return new Command('convert')
    .description(
      'Convert weights to another floating point type, and between a single file and a model folder. Reads ' +
        'safetensors and files of torch.save, writes safetensors. Takes a file, a component folder (config.json ' +
        'and weights) or a whole model folder.',
    )
    .argument('<input>', 'what to convert')
    .requiredOption('-o, --output <path>', 'where to: a name that ends in .safetensors, or a folder')
    .addOption(
      new Option('--dtype <type>', 'the type to write: fp32, fp16 or bf16; as stored by default').argParser(
        toDtype(['fp32', 'fp16', 'bf16']),
      ),
    )
    .option('--variant <name>', 'read weight files of this variant, such as fp16')
    .option('--output-variant <name>', 'put this into the names of the weight files, such as fp16')
    .addOption(
      new Option('--max-shard-size <size>', 'split files of weights that are larger, such as 5GB').argParser(
        toBytes,
      ),
    )
    .option('--config <path>', 'configurations of a model in a single file: a folder, or a .yaml file')
    .option(
      '--use-ema',
      "take the running means (EMA) of the U-Net's weights from a single file that has both",
    )
    .option('--force', 'replace what is there')
    .option('-q, --quiet', 'print nothing but errors')
    .addHelpText('after', EXIT_CODES_HELP)
    .action((input: string, flags: Flags) => convert(input, flags, context));
}

async function convert(input: string, flags: Flags, context: CliContext): Promise<void> {
  const { output, dtype, outputVariant } = flags;
  if (!existsSync(input)) throw invalidConfig(input, 'does not exist');
  if (resolve(input) === resolve(output)) {
    throw invalidArgument('output', 'must be a different path from the input');
  }
  if (outputVariant !== undefined && !/^[\w-]{1,64}$/.test(outputVariant)) {
    throw invalidArgument(
      'output-variant',
      `must be letters and digits, got ${JSON.stringify(outputVariant)}`,
    );
  }
  const tasks = await plan(input, flags, context.signal);
  await runTasks(tasks, context, {
    dtype: dtype && DTYPES[dtype],
    shardBytes: flags.maxShardSize,
    quiet: flags.quiet,
  });
}

/** What there is to convert; makes the folders and writes the other files on the way. */
async function plan(input: string, flags: Flags, signal: AbortSignal): Promise<Task[]> {
  const { output, force = false, variant, config, useEma } = flags;
  const isFile = statSync(input).isFile();
  if (isFile && isWeightsFile(output)) {
    await prepareFile(output, force);
    const { tensors, metadata } = await openWeights(input, { signal });
    return [{ tensors: tensors.map(plain), metadata, output }];
  }
  const options = { variant, signal };
  if (isFile) {
    const index = await readModelIndex(input, {
      ...(config !== undefined && { config }),
      ...(useEma !== undefined && { useEma }),
      signal,
    });
    await checkFolder(output, force);
    return networkTasks(index, output, { ...options, config, outputVariant: flags.outputVariant });
  }
  for (const [name, value] of Object.entries({ config, useEma })) {
    if (value !== undefined)
      throw invalidArgument(name, `is for models in a single file; ${input} is a folder`);
  }
  if (!isWeightsFile(output)) {
    await checkFolder(output, force);
    return folderTasks(input, output, { ...options, outputVariant: flags.outputVariant });
  }
  await prepareFile(output, force);
  if (!existsSync(join(input, 'model_index.json'))) {
    const [task, ...others] = await folderTasks(input, undefined, options);
    if (!task || others.length > 0)
      throw invalidConfig(input, 'is neither a model nor one of its components');
    return [{ ...task, output }];
  }
  const { source, value } = await readModelIndex(input, { signal });
  return [{ tensors: await singleFileTensors(source, value, options), metadata: { format: 'pt' }, output }];
}
