import { type Command, CommanderError } from 'commander';
import { DeepCacheError, messageOf } from '../errors.js';
import { oneLine } from '../printable.js';
import { type CliContext, ExitCode, exitCodeOf, processContext } from './context.js';
import { RENAMED as FLAG_NAMES } from './flags.js';

export const EXIT_CODES_HELP = `
Exit codes:
  0    done
  1    it failed, or problems were found
  2    a wrong command, option or argument
  130  stopped by Ctrl-C (a second Ctrl-C kills the process); 143 by SIGTERM`;

/** What a program's main module does. */
export async function runMain(create: (context: CliContext) => Command): Promise<void> {
  const context = processContext();
  process.exitCode = await runProgram(create(context), process.argv.slice(2), context);
  // What was interrupted need not be tidied up, which could take long.
  if (context.signal.aborted) process.exit();
}

/**
 * Runs a program's command and returns the exit code. Errors become one line on standard error, with their code in
 * brackets; `--verbose` and the environment variable DEBUG add the stack.
 */
export async function runProgram(
  program: Command,
  argv: readonly string[],
  context: CliContext,
): Promise<number> {
  const known = new Map<string, string>();
  for (const command of [program, ...program.commands]) {
    command.exitOverride();
    command.configureHelp({ showGlobalOptions: true });
    command.configureOutput({ writeOut: context.out, writeErr: context.err, outputError: () => {} });
    for (const option of command.options) known.set(option.attributeName(), option.long ?? option.flags);
  }
  // At once, though stopping and freeing what was loaded may take a moment.
  const interrupted = () => {
    if (context.columns() > 0) context.control('\r\x1b[K');
    context.err(`${program.name()}: ${messageOf(context.signal.reason)}\n`);
  };
  context.signal.addEventListener('abort', interrupted);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return context.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return usageError(error, program.name(), context);
    if (context.signal.aborted) return exitCodeOf(context.signal);
    return failure(error, known, program, context);
  } finally {
    context.signal.removeEventListener('abort', interrupted);
  }
}

function usageError(error: CommanderError, name: string, context: CliContext): number {
  if (error.exitCode === 0) return ExitCode.ok; // help and version
  // Without a command, commander has shown the help.
  if (error.code !== 'commander.help') {
    const message = error.message.replace(/^error: /, '');
    context.err(`${name}: ${oneLine(message)} [ERR_DEEPCACHE_INVALID_ARGUMENT]\n`);
  }
  return ExitCode.usage;
}

function failure(
  error: unknown,
  known: ReadonlyMap<string, string>,
  program: Command,
  context: CliContext,
): number {
  const code = error instanceof DeepCacheError ? error.code : undefined;
  const message = code ? inWordsOfFlags(messageOf(error), code, known) : messageOf(error);
  context.err(`${program.name()}: ${oneLine(message)}${code ? ` [${code}]` : ''}\n`);
  if (program.opts().verbose || process.env.DEBUG) context.err(`${(error as Error)?.stack ?? ''}\n`);
  return code === 'ERR_DEEPCACHE_INVALID_ARGUMENT' ? ExitCode.usage : ExitCode.failure;
}

/** Options that have another name here than in the library. */
const RENAMED: Readonly<Record<string, string>> = {
  ...FLAG_NAMES,
  ipAdapterImage: 'ipAdapter',
  ipAdapterScale: 'ipAdapter',
  denoisingStart: 'refinerStart',
  denoisingEnd: 'refinerStart',
  ...{ loras: 'lora', controlNets: 'controlNet', t2iAdapters: 't2iAdapter', ipAdapters: 'ipAdapter' },
  ...{ upscalers: 'upscaler', embeddings: 'embedding' },
  ...{ 'tls.key': 'tlsKey', 'tls.cert': 'tlsCert', tls: 'tlsKey' },
};

/**
 * The library names options as its users write them; here they have another spelling. A name at the beginning is the
 * option that is wrong; elsewhere only names with a capital letter inside can be no other words.
 */
function inWordsOfFlags(message: string, code: string, known: ReadonlyMap<string, string>): string {
  const flag = (word: string) => known.get(RENAMED[word] ?? word) ?? word;
  const [name = ''] = /^\w+/.exec(message) ?? [];
  // The flag is there, for other models: what else the library takes here says nothing.
  if (known.has(RENAMED[name] ?? name) && /^\w+ is not an option[; ]/.test(message))
    return `${flag(name)} does not apply to this model`;
  const isOption = code === 'ERR_DEEPCACHE_INVALID_ARGUMENT' && !/^\w+ is (not a|no) field/.test(message);
  return (
    message
      .replace(/^[a-z]\w*(\.[a-z]\w*)?(?= )/i, (word) => (isOption ? flag(word) : word))
      // An entry of a file.
      .replace(/^keys(?=\[)/, (word) => (isOption ? `${flag(word)}: ` : word))
      // The name of a sampler is looked up before: what is left are fields.
      .replace(/^scheduler(?=: )/, () => flag('schedulerConfig'))
      .replace(/^(cache|vaeTiling|schedulerOptions|hiresFix|upscale)\.(?=\w)/, (whole, word) =>
        isOption ? `${flag(word)}: ` : whole,
      )
      .replace(/(?<=^--[\w-]+ and )\w+(?= exclude)/, flag)
      .replace(/(?<![\w./\\"'-])[a-z][a-z\d]*[A-Z]\w*(?![\w./\\"'-])/g, flag)
  );
}
