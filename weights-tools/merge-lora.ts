import { basename, resolve } from 'node:path';
import { Command } from 'commander';
import { checkScale } from '../lib/adapters/scale.js';
import { unknownKeysText } from '../lib/adapters/unknown-keys.js';
import type { CliContext } from '../lib/cli/context.js';
import { wantedLoras } from '../lib/cli/loras.js';
import { EXIT_CODES_HELP } from '../lib/cli/run.js';
import { invalidArgument } from '../lib/errors.js';
import { isFolder } from '../lib/files/read.js';
import { readModelIndex } from '../lib/pipelines/loading/model-index.js';
import type { ModelIndex } from '../lib/pipelines/loading/parts.js';
import {
  type ConversionFlags,
  checkConversion,
  withConversionOptions,
  writeOptions,
} from './conversion-options.js';
import { folderTasks, networkTasks } from './folder-tasks.js';
import { MergedWeights } from './merged-weights.js';
import { isWeightsFile, staged } from './outputs.js';
import { runTasks, type Task } from './run-tasks.js';
import { singleFileTensors } from './single-file.js';
import type { Stage } from './staging.js';

/** `weights-tools merge-lora`: a model with adapters in its weights. */
export function mergeLoraCommand(context: CliContext): Command {
  const command = new Command('merge-lora')
    .description(
      'Write a model with adapters (LoRA and its relatives) merged into the weights of its U-Net and its text ' +
        'encoders, as a folder or a single file.',
    )
    .argument('<model>', 'a model folder, or a model in a single file')
    .argument('<lora...>', 'adapters, each with its scale as file:0.8; 1 by default');
  return withConversionOptions(command)
    .addHelpText('after', EXIT_CODES_HELP)
    .action((model: string, loras: string[], flags: ConversionFlags) => merge(model, loras, flags, context));
}

async function merge(
  model: string,
  given: readonly string[],
  flags: ConversionFlags,
  context: CliContext,
): Promise<void> {
  const { signal } = context;
  checkConversion(model, flags);
  const loras = (await wantedLoras({ lora: given }, {}, signal)).loras.map(({ file, scale }) => {
    if (resolve(file) === resolve(flags.output))
      throw invalidArgument('output', 'must be a different path from the adapters');
    return { file, scale: checkScale('scale', scale) };
  });
  const { config, useEma, variant } = flags;
  const index = await readModelIndex(model, {
    ...(config !== undefined && { config }),
    ...(useEma !== undefined && { useEma }),
    signal,
  });
  const options = writeOptions(flags);
  const merged = await MergedWeights.read(index, loras, { dtype: options.dtype, variant, signal });
  for (const file of merged.files) {
    const remark = unknownKeysText(file);
    if (remark !== undefined && !flags.quiet) context.err(`weights-tools: ${remark}\n`);
  }
  const alsoRead = merged.files.map(({ path }) => path);
  await staged(flags, async (stage) => {
    const tasks = merged.in(await plan(index, flags, stage, signal));
    await runTasks(tasks, stage, context, { ...options, alsoRead });
  });
  if (flags.quiet) return;
  const names = loras.map(({ file, scale }) => `${basename(file)} (${scale})`).join(', ');
  context.out(`${merged.count} weights changed by ${names}\n`);
}

/** What is written of the model; writes the other files on the way. */
async function plan(
  index: ModelIndex,
  flags: ConversionFlags,
  stage: Stage,
  signal: AbortSignal,
): Promise<Task[]> {
  const { output, variant, outputVariant, config } = flags;
  const { source, value } = index;
  const options = { variant, signal };
  if (isWeightsFile(output)) {
    const tensors = await singleFileTensors(source, value, options);
    return [{ tensors, metadata: { format: 'pt' }, output: stage.at(output) }];
  }
  return isFolder(source.place)
    ? folderTasks(source.place, stage.folder, { ...options, outputVariant })
    : networkTasks(index, stage.folder, { ...options, config, outputVariant });
}
