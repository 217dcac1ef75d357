import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { toDtype } from '../lib/cli/arguments.js';
import { invalidArgument, invalidConfig } from '../lib/errors.js';
import { toBytes } from './outputs.js';
import type { WriteOptions } from './write-weights.js';

/** How a model is read, and written again. */
export interface ConversionFlags {
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

/** Gives a command the options of {@link ConversionFlags}. */
export function withConversionOptions(command: Command): Command {
  return command
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
    .option('-q, --quiet', 'print nothing but errors');
}

/** Throws what is wrong with the paths and names, before anything is read. */
export function checkConversion(input: string, { output, outputVariant }: ConversionFlags): void {
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
}

/** How weights are written. */
export function writeOptions({
  dtype,
  maxShardSize,
  quiet,
  force,
}: ConversionFlags): Pick<WriteOptions, 'dtype' | 'shardBytes'> & Pick<ConversionFlags, 'quiet' | 'force'> {
  return {
    dtype: dtype && DTYPES[dtype],
    shardBytes: maxShardSize,
    ...(quiet && { quiet }),
    ...(force && { force }),
  };
}
