import { constants } from 'node:os';
import { printable } from '../printable.js';

/** Where the texts of a command go as they are: the process, or something else in tests. */
export interface Sink {
  stdout(data: string | Uint8Array): void;
  stderr(text: string): void;
  /** Columns of the terminal on standard error; 0 when that is no terminal. */
  columns(): number;
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean;
  stdin(): AsyncIterable<Uint8Array>;
  /** Milliseconds between lines of progress where standard error is no terminal. */
  readonly linePause: number;
}

/**
 * What a command talks to. Texts may hold what untrusted files say: they are made harmless for terminals here, and
 * nowhere else.
 */
export interface CliContext {
  /** To standard output: results. */
  out(text: string): void;
  /** To standard error: remarks and errors. */
  err(text: string): void;
  /** To standard error as it is: our own control sequences, with nothing of others in them. */
  control(sequence: string): void;
  /** To standard output as it is: a file's bytes. */
  bytes(data: Uint8Array): void;
  /** What comes from standard input. */
  input(): AsyncIterable<Uint8Array>;
  columns(): number;
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean;
  /** See {@link Sink}. */
  readonly linePause: number;
  /** Aborted by Ctrl-C, or when the system asks the process to end; the reason is an {@link Interruption}. */
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
} as const;

/** Why a command ends early: Ctrl-C, or the system (`kill`, a container that is stopped). */
export class Interruption extends Error {
  constructor(readonly signal: 'SIGINT' | 'SIGTERM') {
    super(signal === 'SIGINT' ? 'interrupted' : 'terminated');
  }

  /** 128 plus the number of the signal, as shells have it. */
  get exitCode(): number {
    return 128 + constants.signals[this.signal];
  }
}

/** What a program that was stopped ends with. */
export function exitCodeOf({ reason }: AbortSignal): number {
  return reason instanceof Interruption ? reason.exitCode : ExitCode.failure;
}

export function contextOver(sink: Sink, signal: AbortSignal): CliContext {
  return {
    out: (text) => sink.stdout(printable(text)),
    err: (text) => sink.stderr(printable(text)),
    control: (sequence) => sink.stderr(sequence),
    bytes: (data) => sink.stdout(data),
    input: () => sink.stdin(),
    columns: () => sink.columns(),
    isTerminal: sink.isTerminal,
    linePause: sink.linePause,
    signal,
    exitCode: ExitCode.ok,
  };
}

/** The context of the real program. The first Ctrl-C or SIGTERM aborts `signal`, a second one kills the process. */
export function processContext(): CliContext {
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => interrupt.abort(new Interruption(name)));
  // A reader that goes away early (`deepcache macs | head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(ExitCode.ok);
    process.stderr.write(`standard output cannot be written: ${error.message} [ERR_DEEPCACHE_OUTPUT]\n`);
    process.exit(ExitCode.failure);
  });
  // Nobody is there to read it.
  process.stderr.on('error', () => {});
  const sink: Sink = {
    stdout: (data) => void process.stdout.write(data),
    stderr: (text) => void process.stderr.write(text),
    columns: () => (process.stderr.isTTY ? process.stderr.columns || 80 : 0),
    isTerminal: process.stdout.isTTY === true,
    stdin: () => process.stdin,
    linePause: 10_000,
  };
  return contextOver(sink, interrupt.signal);
}
