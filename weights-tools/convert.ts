import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import type { CliContext } from '../lib/cli/context.js';
import { EXIT_CODES_HELP } from '../lib/cli/run.js';
import { invalidArgument, invalidConfig } from '../lib/errors.js';
import { readModelIndex } from '../lib/pipelines/loading/model-index.js';
import { openWeights } from '../lib/weights/open.js';
import {
  type ConversionFlags,
  checkConversion,
  withConversionOptions,
  writeOptions,
} from './conversion-options.js';
import { folderTasks, networkTasks } from './folder-tasks.js';
import { plain } from './model-parts.js';
import { checkFolder, isWeightsFile, prepareFile } from './outputs.js';
import { runTasks, type Task } from './run-tasks.js';
import { singleFileTensors } from './single-file.js';

/** `weights-tools convert`: weights in another type or layout. Always writes safetensors. */
export function convertCommand(context: CliContext): Command {
  const command = new Command('convert')
    .description(
      'Convert weights to another floating point type, and between a single file and a model folder. Reads ' +
        'safetensors and files of torch.save, writes safetensors. Takes a file, a component folder (config.json ' +
        'and weights) or a whole model folder.',
    )
    .argument('<input>', 'what to convert');
  return withConversionOptions(command)
    .addHelpText('after', EXIT_CODES_HELP)
    .action(async (input: string, flags: ConversionFlags) => {
      checkConversion(input, flags);
      await runTasks(await plan(input, flags, context.signal), context, writeOptions(flags));
    });
}

/** What there is to convert; makes the folders and writes the other files on the way. */
async function plan(input: string, flags: ConversionFlags, signal: AbortSignal): Promise<Task[]> {
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
