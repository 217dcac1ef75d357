import { Command } from 'commander';
import { packageFile } from '../package-root.js';
import { batchCommand } from './batch.js';
import { buildCommand } from './build.js';
import { compareCommand } from './compare.js';
import type { CliContext } from './context.js';
import { generateCommand } from './generate.js';
import { inspectCommand } from './inspect.js';
import { macsCommand } from './macs.js';
import { mcpCommand } from './mcp.js';
import { qualityCommand } from './quality.js';
import { reproduceCommand } from './reproduce.js';
import { EXIT_CODES_HELP } from './run.js';
import { serveCommand } from './serve.js';
import { tuneCommand } from './tune.js';
import { upscaleCommand } from './upscale.js';
import { workerCommand } from './worker.js';

/** The program `deepcache`; its commands write to the context. */
export function createProgram(context: CliContext): Command {
  return baseProgram('deepcache', 'Stable Diffusion with DeepCache built in.')
    .addCommand(generateCommand(context))
    .addCommand(batchCommand(context))
    .addCommand(compareCommand(context))
    .addCommand(qualityCommand(context))
    .addCommand(tuneCommand(context))
    .addCommand(upscaleCommand(context))
    .addCommand(serveCommand(context))
    .addCommand(workerCommand(context))
    .addCommand(mcpCommand(context))
    .addCommand(inspectCommand(context))
    .addCommand(macsCommand(context))
    .addCommand(reproduceCommand(context))
    .addCommand(buildCommand(context))
    .addHelpText(
      'after',
      `
Examples:
  deepcache generate --prompt "a lighthouse in a storm" --cache balanced -o lighthouse.png
  deepcache inspect models/stable-diffusion-v1-5
  deepcache macs --model-name sd15 --steps 50 --cache interval=5
${EXIT_CODES_HELP}`,
    );
}

/** What all our programs have. */
export function baseProgram(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .version(packageFile().version, '-V, --version', 'print the version')
    .option('--verbose', 'show the stack of errors')
    .helpOption('-h, --help', 'show the help of a command');
}
