import { existsSync } from 'node:fs';
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
import { type Input, locateInput } from './inputs.js';
import { plain } from './model-parts.js';
import { isWeightsFile, staged } from './outputs.js';
import { runTasks, type Task } from './run-tasks.js';
import { singleFileTensors } from './single-file.js';
import type { Stage } from './staging.js';

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
      const located = await locateInput(input, context.signal);
      await staged(flags, async (stage) => {
        const tasks = await plan(located, flags, stage, context.signal);
        await runTasks(tasks, stage, context, writeOptions(flags));
      });
    });
}

/** What there is to convert; writes the other files on the way. */
async function plan(
  { path: input, isFile }: Input,
  flags: ConversionFlags,
  stage: Stage,
  signal: AbortSignal,
): Promise<Task[]> {
  const { variant, outputVariant, config, useEma } = flags;
  const toFile = isWeightsFile(flags.output);
  if (isFile && toFile) {
    const { tensors, metadata } = await openWeights(input, { signal });
    return [{ tensors: tensors.map(plain), metadata, output: stage.at(flags.output) }];
  }
  const options = { variant, signal };
  if (isFile) {
    const index = await readModelIndex(input, {
      ...(config !== undefined && { config }),
      ...(useEma !== undefined && { useEma }),
      signal,
    });
    return networkTasks(index, stage.folder, { ...options, config, outputVariant });
  }
  for (const [name, value] of Object.entries({ config, useEma })) {
    if (value !== undefined)
      throw invalidArgument(name, `is for models in a single file; ${input} is a folder`);
  }
  if (!toFile) return folderTasks(input, stage.folder, { ...options, outputVariant });
  if (!existsSync(join(input, 'model_index.json'))) {
    const [task, ...others] = await folderTasks(input, undefined, options);
    if (!task || others.length > 0)
      throw invalidConfig(input, 'is neither a model nor one of its components');
    return [{ ...task, output: stage.at(flags.output) }];
  }
  const { source, value } = await readModelIndex(input, { signal });
  const tensors = await singleFileTensors(source, value, options);
  return [{ tensors, metadata: { format: 'pt' }, output: stage.at(flags.output) }];
}
