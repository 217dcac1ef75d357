import type { Command } from 'commander';
import { type CliContext, contextOver } from '../lib/cli/context.js';
import { createProgram } from '../lib/cli/program.js';
import { runProgram } from '../lib/cli/run.js';

export interface CliResult {
  code: number;
  out: string;
  err: string;
  /** What was written to standard output as bytes, not as text. */
  bytes?: Buffer;
}

export interface CliOptions {
  create?: (context: CliContext) => Command;
  /** Columns of a terminal; 0 is none. */
  columns?: number;
  /** Whether standard output is a terminal. */
  isTerminal?: boolean;
  /** Standard input. */
  stdin?: string;
  signal?: AbortSignal;
  onOutput?: (text: string) => void;
  onError?: (text: string) => void;
}

/** Runs a command line in this process, without its terminal. */
export async function runCli(argv: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { create = createProgram, columns = 0, signal = new AbortController().signal, onError } = options;
  const result = { code: 0, out: '', err: '' } as CliResult;
  const context = contextOver(
    {
      stdout: (data) => {
        if (typeof data === 'string') {
          result.out += data;
          options.onOutput?.(data);
        } else result.bytes = Buffer.concat([result.bytes ?? Buffer.alloc(0), data]);
      },
      stderr: (text) => {
        result.err += text;
        onError?.(text);
      },
      columns: () => columns,
      isTerminal: options.isTerminal ?? false,
      async *stdin() {
        yield Buffer.from(options.stdin ?? '');
      },
      // However long it takes: such lines are no part of what a command says.
      linePause: Number.POSITIVE_INFINITY,
    },
    signal,
  );
  result.code = await runProgram(create(context), argv, context);
  return result;
}
