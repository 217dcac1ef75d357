import type { Command } from 'commander';
import type { CliContext } from '../lib/cli/context.js';
import { inspectCommand } from '../lib/cli/inspect.js';
import { baseProgram } from '../lib/cli/program.js';
import { EXIT_CODES_HELP } from '../lib/cli/run.js';
import { convertCommand } from './convert.js';
import { diffCommand } from './diff.js';
import { extractCommand } from './extract.js';
import { judgeCommand } from './judge.js';
import { mergeLoraCommand } from './merge-lora.js';
import { synthCommand } from './synth.js';

/** The program `weights-tools`; its commands write to the context. */
export function createProgram(context: CliContext): Command {
  return baseProgram('weights-tools', 'Make, convert and look into weight files.')
    .addCommand(synthCommand(context))
    .addCommand(convertCommand(context))
    .addCommand(mergeLoraCommand(context))
    .addCommand(extractCommand(context))
    .addCommand(diffCommand(context))
    .addCommand(inspectCommand(context))
    .addCommand(judgeCommand(context))
    .addHelpText('after', EXIT_CODES_HELP);
}
