import { Command } from 'commander';
import type { CliContext } from './context.js';
import { EXIT_CODES_HELP } from './run.js';
import { addServedModelFlags, lookAtModels, type ServedModelFlags, servedModels } from './served-models.js';

/** `deepcache mcp`: pictures for language models. */
export function mcpCommand(context: CliContext): Command {
  const command = new Command('mcp').description(
    'Speak the Model Context Protocol on standard input and output: tools with which a language model makes, changes and ' +
      'compares pictures (docs/serving.md). Needs the package @modelcontextprotocol/sdk.',
  );
  return addServedModelFlags(command, false)
    .addHelpText('after', EXIT_CODES_HELP)
    .action((flags: ServedModelFlags) => run(flags, context));
}

async function run(flags: ServedModelFlags, context: CliContext): Promise<void> {
  const { ImageEngine } = await import('../server/engine/index.js');
  const { serveStdio } = await import('../mcp/server.js');
  const served = await servedModels(flags);
  const engine = new ImageEngine({ ...served, log: (message) => context.err(`deepcache: ${message}\n`) });
  try {
    await lookAtModels(served.models, (name) => engine.card(name));
    await serveStdio(engine, context.signal);
  } finally {
    await engine.close();
  }
}
