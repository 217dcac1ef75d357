import { basename, dirname, resolve } from 'node:path';
import type { CliContext } from '../lib/cli/context.js';
import { formatBytes } from '../lib/cli/format.js';
import { writing } from '../lib/cli/output-file.js';
import { StatusLine, WorkProgress } from '../lib/cli/status-line.js';
import { type PlannedTensor, type WriteOptions, writeWeights } from './write-weights.js';

/** A file of weights to write. */
export interface Task {
  readonly tensors: readonly PlannedTensor[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly output: string;
}

/** Writes files one after the other, and reports each. */
export async function runTasks(
  tasks: readonly Task[],
  context: CliContext,
  { quiet = false, ...options }: Pick<WriteOptions, 'dtype' | 'shardBytes'> & { quiet?: boolean | undefined },
): Promise<void> {
  const line = new StatusLine(context, !quiet);
  try {
    for (const { tensors, metadata, output } of tasks) {
      const progress = new WorkProgress(line, basename(dirname(resolve(output))), formatBytes);
      const { files, bytes } = await writing(output, () =>
        writeWeights(output, tensors, {
          ...options,
          metadata,
          onProgress: (done, total) => progress.update(done, total),
          signal: context.signal,
        }),
      );
      line.clear();
      const shards = files.length > 1 ? ` in ${files.length - 1} files` : '';
      if (!quiet) context.out(`${output}: ${formatBytes(bytes)}${shards}\n`);
    }
  } finally {
    line.clear();
  }
}
