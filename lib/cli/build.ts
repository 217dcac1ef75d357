import { Command } from 'commander';
import { buildFromSource } from '../native/build.js';
import { toCount } from './arguments.js';
import type { CliContext } from './context.js';
import { EXIT_CODES_HELP } from './run.js';

interface Flags {
  cuda?: boolean;
  jobs?: number;
}

/** `deepcache build`: the native binary from the package's own sources, where none is published or CUDA is wanted. */
export function buildCommand(context: CliContext): Command {
  return new Command('build')
    .description(
      'Build the native binary from the sources in the package, for platforms without a published one. Needs CMake ' +
        '3.18 or newer and a C++20 compiler; downloads nothing.',
    )
    .option('--cuda', "build the CUDA library, too, for this machine's GPUs; needs nvcc")
    .option('--jobs <n>', 'compilers to run at once (default: one per core)', toCount)
    .addHelpText('after', EXIT_CODES_HELP)
    .action(async (flags: Flags) => {
      const folder = await buildFromSource({ ...flags, signal: context.signal });
      context.out(`built ${folder}\n`);
    });
}
