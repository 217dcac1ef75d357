import { existsSync, statSync } from 'node:fs';
import { cp, mkdir, readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { toDtype } from '../lib/cli/arguments.js';
import type { CliContext } from '../lib/cli/context.js';
import { formatBytes } from '../lib/cli/format.js';
import { writing } from '../lib/cli/output-file.js';
import { EXIT_CODES_HELP } from '../lib/cli/run.js';
import { StatusLine, WorkProgress } from '../lib/cli/status-line.js';
import { invalidArgument, invalidConfig } from '../lib/errors.js';
import { findModel } from '../lib/models/model-files.js';
import { convertWeights } from './convert-weights.js';

interface Flags {
  output: string;
  dtype: 'fp32' | 'fp16' | 'bf16';
  variant?: string;
  quiet?: boolean;
}

/** Files to read and the one to write. */
interface Task {
  inputs: readonly string[];
  output: string;
}

const DTYPES = { fp32: 'F32', fp16: 'F16', bf16: 'BF16' } as const;
/** Texts that belong to a model; weights in other formats and pictures do not. */
const COPIED = /\.(json|txt|md|model)$/;
const STEMS = ['diffusion_pytorch_model', 'model'];

/** `weights-tools convert`: weights in another type, shards in one file. */
export function convertCommand(context: CliContext): Command {
  return new Command('convert')
    .description(
      'Convert safetensors weights to another floating point type; shards become one file. Takes a file, ' +
        'a component folder (config.json and weights) or a whole model folder.',
    )
    .argument('<input>', 'what to convert')
    .requiredOption('-o, --output <path>', 'where to: a file for a file, a folder for a folder')
    .addOption(
      new Option('--dtype <type>', 'the type to write: fp32, fp16 or bf16')
        .argParser(toDtype(['fp32', 'fp16', 'bf16']))
        .makeOptionMandatory(),
    )
    .option('--variant <name>', 'read weight files of this variant, such as fp16')
    .option('-q, --quiet', 'print nothing but errors')
    .addHelpText('after', EXIT_CODES_HELP)
    .action((input: string, flags: Flags) => convert(input, flags, context));
}

async function convert(input: string, flags: Flags, context: CliContext): Promise<void> {
  if (!existsSync(input)) throw invalidConfig(input, 'does not exist');
  if (resolve(input) === resolve(flags.output)) {
    throw invalidArgument('output', 'must be a different path from the input');
  }
  const tasks = await writing(flags.output, () => plan(input, flags));
  const line = new StatusLine(context, !flags.quiet);
  try {
    for (const { inputs, output } of tasks) {
      const progress = new WorkProgress(line, basename(dirname(resolve(output))), formatBytes);
      const bytes = await writing(output, () =>
        convertWeights(inputs, output, {
          dtype: DTYPES[flags.dtype],
          onProgress: (done, total) => progress.update(done, total),
          signal: context.signal,
        }),
      );
      line.clear();
      if (!flags.quiet) context.out(`${output}: ${formatBytes(bytes)}\n`);
    }
  } finally {
    line.clear();
  }
}

/** What there is to convert; makes the folders and copies the other files on the way. */
async function plan(input: string, { output, variant }: Flags): Promise<Task[]> {
  if (statSync(input).isFile()) {
    if (existsSync(output) && statSync(output).isDirectory()) {
      throw invalidArgument('output', `${output} is a folder, the input a file`);
    }
    return [{ inputs: [input], output }];
  }
  const folders = [''];
  const entries = await readdir(input, { withFileTypes: true });
  folders.push(...entries.filter((entry) => entry.isDirectory()).map(({ name }) => name));
  const tasks: Task[] = [];
  for (const folder of folders) {
    const task = await component(join(input, folder), join(output, folder), variant);
    if (task) tasks.push(task);
  }
  if (tasks.length === 0) {
    throw invalidConfig(input, 'has no safetensors weights beside a config.json, nor do the folders in it');
  }
  return tasks;
}

/** Copies the small files of a folder; returns its weights if it has any. */
async function component(input: string, output: string, variant?: string): Promise<Task | undefined> {
  const names = (await readdir(input, { withFileTypes: true }))
    .filter((entry) => !entry.isDirectory())
    .map(({ name }) => name);
  const weights = names.filter((name) => /\.safetensors(\.|$)/.test(name));
  const copied = names.filter((name) => COPIED.test(name) && !/\.index\./.test(name));
  if (weights.length + copied.length === 0) return undefined;
  await mkdir(output, { recursive: true });
  for (const name of copied) await cp(join(input, name), join(output, name));
  if (weights.length === 0 || !names.includes('config.json')) return undefined;
  const stem = STEMS.find((candidate) => weights.some((name) => name.startsWith(candidate)));
  if (!stem) throw invalidConfig(input, `has no ${STEMS.join('.safetensors and no ')}.safetensors`);
  const { files } = await findModel(input, stem, { variant });
  return { inputs: files, output: join(output, `${stem}.safetensors`) };
}
