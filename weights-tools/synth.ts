import { readdir } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { toDtype } from '../lib/cli/arguments.js';
import type { CliContext } from '../lib/cli/context.js';
import { formatCount, formatSeconds } from '../lib/cli/format.js';
import { writing } from '../lib/cli/output-file.js';
import { EXIT_CODES_HELP } from '../lib/cli/run.js';
import { StatusLine, WorkProgress } from '../lib/cli/status-line.js';
import { UNET_CONFIGS } from '../lib/configs/unets.js';
import { invalidArgument } from '../lib/errors.js';
import { readJson } from '../lib/files/json.js';
import { type Config, SMALL_UNET } from './configs.js';
import { Stage } from './staging.js';
import { writeSyntheticModel } from './synthetic-model.js';

interface Flags {
  output: string;
  model?: string;
  small?: boolean;
  config?: string;
  unetOnly?: boolean;
  tokenizer?: string;
  dtype: 'fp16' | 'fp32';
  quiet?: boolean;
}

const DTYPES = { fp16: 'float16', fp32: 'float32' } as const;
const CLIP_VOCABULARY = 49408;

/** `weights-tools synth`: a model folder with synthetic weights. */
export function synthCommand(context: CliContext): Command {
  return new Command('synth')
    .description(
      'Write a model folder with synthetic weights, for tests and measurements without a checkpoint. ' +
        'The same configuration makes the same weights everywhere.',
    )
    .requiredOption('-o, --output <folder>', 'where to; must be empty or not exist')
    .addOption(
      new Option('--model <name>', 'the architecture of a published model')
        .choices(Object.keys(UNET_CONFIGS))
        .conflicts(['small', 'config']),
    )
    .addOption(
      new Option(
        '--small',
        "a model with the real widths (320, 640, 1280) and little else of a real one's size",
      ).conflicts('config'),
    )
    .option('--config <file>', "a U-Net's config.json; the other parts are made to fit it")
    .option('--unet-only', 'no text encoder, autoencoder, tokenizer and scheduler')
    .option('--tokenizer <folder>', 'copy this tokenizer; by default one token stands for one byte')
    .addOption(
      new Option('--dtype <type>', 'of the files, fp16 or fp32; the values are the same')
        .argParser(toDtype(['fp16', 'fp32']))
        .default('fp16'),
    )
    .option('-q, --quiet', 'print nothing but errors')
    .addHelpText('after', EXIT_CODES_HELP)
    .action((flags: Flags) => synth(flags, context));
}

async function synth(flags: Flags, context: CliContext): Promise<void> {
  const { output, small = false, model, tokenizer } = flags;
  const unet = await unetConfig(flags);
  await writing(output, () => requireEmpty(output));
  const problem = whyNoPipeline(unet);
  const unetOnly = flags.unetOnly === true || problem !== undefined;
  const line = new StatusLine(context, !flags.quiet);
  if (problem && !flags.unetOnly && !flags.quiet) context.err(`weights-tools: only the U-Net: ${problem}\n`);
  const progress = new Map<string, WorkProgress>();
  const start = performance.now();
  try {
    const options = {
      unet,
      isSmall: small,
      unetOnly,
      dtype: DTYPES[flags.dtype],
      tokenizer,
      // What is published keeps its size, however small the tokenizer.
      ...(model !== undefined && { vocabulary: CLIP_VOCABULARY }),
      onProgress: (component: string, done: number, total: number) => {
        if (!progress.has(component)) {
          progress.set(
            component,
            new WorkProgress(line, component, (count) => `${formatCount(count)} values`),
          );
        }
        progress.get(component)?.update(done, total);
      },
      signal: context.signal,
    };
    const values = await Stage.with(output, { isFolder: true, force: false }, ({ folder }) =>
      writing(output, () => writeSyntheticModel(folder, options)),
    );
    line.clear();
    const seconds = formatSeconds((performance.now() - start) / 1000);
    if (!flags.quiet) context.out(`${output}: ${formatCount(values)} values in ${seconds}\n`);
  } finally {
    line.clear();
  }
}

async function unetConfig({ model, small, config }: Flags): Promise<Config> {
  if (small) return SMALL_UNET;
  if (model !== undefined) return UNET_CONFIGS[model] as Config;
  if (config !== undefined) return (await readJson(config)).value;
  throw invalidArgument('model', 'is missing: give --model, --small or --config');
}

/** Why the U-Net belongs to another kind of pipeline than the one that is written around it. */
function whyNoPipeline(unet: Config): string | undefined {
  if (unet.addition_embed_type) return 'it takes more conditions than one text encoder makes';
  if ((unet.in_channels ?? 4) !== (unet.out_channels ?? 4)) return 'it takes more than latents';
  if (typeof unet.cross_attention_dim !== 'number') return 'cross_attention_dim is not one number';
  return undefined;
}

async function requireEmpty(folder: string): Promise<void> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw invalidArgument('output', `${folder} cannot be used: ${error.message}`);
  });
  if (entries.length > 0) throw invalidArgument('output', `${folder} is not empty`);
}
