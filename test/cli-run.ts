import type { Command } from 'commander';
import type { CliContext } from '../lib/cli/context.js';
import { createProgram } from '../lib/cli/program.js';
import { runProgram } from '../lib/cli/run.js';

export interface CliResult {
  code: number;
  out: string;
  err: string;
}

export interface CliOptions {
  create?: (context: CliContext) => Command;
  /** Columns of a terminal; 0 is none. */
  columns?: number;
  signal?: AbortSignal;
  onError?: (text: string) => void;
}

/** Runs a command line in this process, without its terminal. */
export async function runCli(argv: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { create = createProgram, columns = 0, signal = new AbortController().signal, onError } = options;
  const result = { code: 0, out: '', err: '' };
  const context: CliContext = {
    out: (text) => {
      result.out += text;
    },
    err: (text) => {
      result.err += text;
      onError?.(text);
    },
    columns: () => columns,
    signal,
    exitCode: 0,
  };
  result.code = await runProgram(create(context), argv, context);
  return result;
}
