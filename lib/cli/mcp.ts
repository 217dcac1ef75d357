import { Command } from 'commander';
import { collect, toCount } from './arguments.js';
import type { CliContext } from './context.js';
import { EXIT_CODES_HELP } from './run.js';
import { type ServedModelFlags, servedModels } from './served-models.js';

/** `deepcache mcp`: pictures for language models. */
export function mcpCommand(context: CliContext): Command {
  return new Command('mcp')
    .description(
      'Speak the Model Context Protocol on standard input and output: tools with which a language model makes, changes and ' +
        'compares pictures (docs/serving.md). Needs the package @modelcontextprotocol/sdk.',
    )
    .option(
      '-m, --model <name=place>',
      'a model and what it is called; repeat it for several (default: the demo model)',
      collect,
    )
    .option('--device <name>', 'auto, cpu, cuda or cuda:N (default: auto)')
    .option('--threads <n>', 'CPU threads', toCount)
    .addHelpText('after', EXIT_CODES_HELP)
    .action((flags: ServedModelFlags) => run(flags, context));
}

async function run(flags: ServedModelFlags, context: CliContext): Promise<void> {
  const { ImageEngine } = await import('../server/engine/index.js');
  const { serveStdio } = await import('../mcp/server.js');
  const models = servedModels(flags);
  const engine = new ImageEngine({ models, log: (message) => context.err(`deepcache: ${message}\n`) });
  try {
    for (const name of Object.keys(models)) await engine.card(name);
    await serveStdio(engine, context.signal);
  } finally {
    await engine.close();
  }
}
