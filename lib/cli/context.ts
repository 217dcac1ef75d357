/** What a command talks to: the process, or something else in tests. */
export interface CliContext {
  /** To standard output: results. */
  out(text: string): void;
  /** To standard error: remarks, errors and progress. */
  err(text: string): void;
  /** Columns of the terminal on standard error; 0 when that is no terminal. */
  columns(): number;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** What the program will end with, see {@link ExitCode}. */
  exitCode: number;
}

export const ExitCode = {
  ok: 0,
  /** It could not be done, or `inspect` found problems. */
  failure: 1,
  /** A wrong command, option or argument. */
  usage: 2,
  /** Stopped by Ctrl-C: 128 plus the number of the signal, as shells have it. */
  interrupted: 130,
} as const;

/** The context of the real program. The first Ctrl-C aborts `signal`, a second one kills the process. */
export function processContext(): CliContext {
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort(new Error('interrupted')));
  // A reader that goes away early (`deepcache macs | head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(ExitCode.ok);
    throw error;
  });
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    columns: () => (process.stderr.isTTY ? process.stderr.columns || 80 : 0),
    signal: interrupt.signal,
    exitCode: ExitCode.ok,
  };
}
