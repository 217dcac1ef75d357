import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { CliContext } from '../lib/cli/context.js';
import { formatBytes } from '../lib/cli/format.js';
import { writing } from '../lib/cli/output-file.js';
import { StatusLine, WorkProgress } from '../lib/cli/status-line.js';
import { invalidArgument } from '../lib/errors.js';
import { requireFree, type Stage } from './staging.js';
import {
  indexName,
  type PlannedTensor,
  shardsOf,
  type WriteOptions,
  weightFiles,
  writeWeights,
} from './write-weights.js';

/** A file of weights to write. */
export interface Task {
  readonly tensors: readonly PlannedTensor[];
  readonly metadata: Readonly<Record<string, string>>;
  /** In the stage's folder. */
  readonly output: string;
}

interface RunOptions extends Pick<WriteOptions, 'dtype' | 'shardBytes'> {
  quiet?: boolean | undefined;
  force?: boolean | undefined;
  /** Files that are read beside those of the tensors. */
  alsoRead?: readonly string[] | undefined;
}

/**
 * Writes files one after the other, and reports each.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT, before anything is written, for a place where a file is that is read.
 */
export async function runTasks(
  tasks: readonly Task[],
  stage: Stage,
  context: CliContext,
  { quiet = false, force = false, alsoRead = [], ...options }: RunOptions,
): Promise<void> {
  const read = tasks.flatMap(({ tensors }) =>
    tensors.flatMap(({ pieces }) => pieces.map(({ file }) => file)),
  );
  await checkPlaces(tasks, new Set([...read, ...alsoRead]), stage, { ...options, force });
  const line = new StatusLine(context, !quiet);
  try {
    for (const { tensors, metadata, output } of tasks) {
      const place = stage.placeOf(output);
      const progress = new WorkProgress(line, basename(dirname(resolve(place))), formatBytes);
      const { files, bytes } = await writing(place, () =>
        writeWeights(output, tensors, {
          ...options,
          metadata,
          onProgress: (done, total) => progress.update(done, total),
          signal: context.signal,
        }),
      );
      line.clear();
      const shards = files.length > 1 ? ` in ${files.length - 1} files` : '';
      if (!quiet) context.out(`${place}: ${formatBytes(bytes)}${shards}\n`);
    }
  } finally {
    line.clear();
  }
}

/** Whatever is replaced, it is nothing that the new files are made of: by another name or a link it would be the same file. */
async function checkPlaces(
  tasks: readonly Task[],
  read: ReadonlySet<string>,
  stage: Stage,
  options: Pick<RunOptions, 'dtype' | 'shardBytes'> & { force: boolean },
): Promise<void> {
  const sources = new Set<string | undefined>();
  for (const path of read) sources.add(await identityOf(path));
  for (const { tensors, output } of tasks) {
    const files = weightFiles(output, tensors, options);
    // One file and shards of the same name would be two models, of which the old one may be found first; shards of another number
    // would only lie about.
    const index = indexName(output);
    const old = options.force ? await shardsOf(stage.placeOf(index)) : [];
    for (const file of new Set([
      ...files,
      output,
      index,
      ...old.map((name) => join(dirname(output), name)),
    ])) {
      const place = stage.placeOf(file);
      const identity = await identityOf(place);
      if (identity === undefined) continue;
      if (sources.has(identity)) {
        throw invalidArgument('output', `would replace ${place}, which is read: give another place`);
      }
      if (!options.force) await requireFree(place);
      if (!files.includes(file)) stage.replaces(place);
    }
  }
}

async function identityOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found && `${found.dev} ${found.ino}`;
}
