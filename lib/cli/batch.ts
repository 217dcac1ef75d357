import { createReadStream } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { countLines, type Line, linesOf } from '../batch/lines.js';
import { BatchRecord, RECORD } from '../batch/record.js';
import { runBatch } from '../batch/run-batch.js';
import { DeepCacheError, invalidArgument, messageOf } from '../errors.js';
import type { GenerateResult } from '../index.js';
import { shorten } from '../messages.js';
import { oneLine } from '../printable.js';
import { ImageEngine } from '../server/engine/index.js';
import { toCount } from './arguments.js';
import { CACHE_SETTINGS_HELP } from './cache-option.js';
import { type CliContext, ExitCode } from './context.js';
import { modelFolder } from './default-model.js';
import { familyOf } from './family.js';
import { flagsNamed, flagsOf } from './flags.js';
import { formatSeconds } from './format.js';
import { type GenerateFlags, toGenerateOptions, toLoadOptions } from './generate-options.js';
import { withPlaces } from './places.js';
import { EXIT_CODES_HELP } from './run.js';
import { StatusLine } from './status-line.js';

interface Flags extends GenerateFlags {
  output: string;
  format: 'png' | 'jpg' | 'webp';
  maxRunning?: number;
}

/** What the engine calls the only model. */
const MODEL = 'model';
const STDIN = '-';

const JOBS_HELP = `
A line of the jobs is a prompt, or a JSON object with options of generate() and a name for the file:
  {"prompt": "a lighthouse in a storm", "seed": 7, "steps": 30, "width": 512, "name": "lighthouse"}
  {"prompt": "the same in winter", "image": "lighthouse.png", "strength": 0.6}
Options on the command line hold for the lines that say nothing else. The folder has the pictures, and ${RECORD} with a
line for each; who starts again with the same jobs and folder goes on where it stopped.`;

/** `deepcache batch`: many pictures, from a file of jobs. */
export function batchCommand(context: CliContext): Command {
  const command = new Command('batch')
    .description('Make the pictures of a file of jobs, many at once, and go on after a stop.')
    .argument('<jobs>', `a file with a job a line, or ${STDIN} for standard input`)
    .requiredOption('-o, --output <folder>', 'where the pictures go; it is made when it is not there');
  command.optionsGroup('Of lines that say nothing else:');
  const own = flagsNamed(['width', 'height', 'negativePrompt', 'seed', 'numImages']);
  for (const option of [...own, ...flagsOf('how')]) command.addOption(option);
  command.optionsGroup('Model and device:');
  for (const option of flagsOf('model')) command.addOption(option);
  return command
    .option('-m, --model <model>', 'as for generate')
    .option('--max-running <n>', 'jobs that are under way at once (default: 16)', toCount)
    .optionsGroup('Output:')
    .addOption(
      new Option('--format <type>', 'of the pictures').choices(['png', 'jpg', 'webp']).default('png'),
    )
    .addOption(new Option('--quality <n>', 'of JPEG and WebP, 1 to 100 (default: 92)').argParser(toCount))
    .option('--force', 'make everything anew, whatever the folder has')
    .option('--json', `print the lines of ${RECORD}`)
    .option('-q, --quiet', 'print nothing but errors')
    .addHelpText('after', `${JOBS_HELP}\n${CACHE_SETTINGS_HELP}\n${EXIT_CODES_HELP}`)
    .action((jobs: string, flags: Flags) => batch(jobs, flags, context));
}

async function batch(jobs: string, given: Flags, context: CliContext): Promise<void> {
  const flags = await withPlaces(given, context);
  const { signal } = context;
  const { output: folder, format, quality, force = false, maxRunning = 16 } = flags;
  const total = jobs === STDIN ? undefined : await countJobs(jobs);
  const { folder: model, note } = modelFolder(flags.model, flags);
  const line = new StatusLine(context, !flags.quiet);
  if (note) line.remark(note);
  const load = { ...toLoadOptions(flags), model };
  const engine = new ImageEngine({
    models: { [MODEL]: load },
    maxRunning,
    maxEnded: 0,
    log: (message) => line.remark(message),
  });
  let record: BatchRecord | undefined;
  try {
    const { className } = await engine.card(MODEL);
    const usual = toGenerateOptions(flags, familyOf(className, {})) as Record<string, unknown>;
    await makeFolder(folder);
    record = await BatchRecord.open(folder, force);
    const progress = new BatchProgress(line, total);
    const encoding = quality === undefined ? {} : { quality };
    progress.show();
    await runBatch(linesOf(source(jobs, context)), engine, {
      ...{ model: MODEL, usual, most: 2 * maxRunning, record, signal },
      save: (result, name) => save(result, folder, name, format, encoding),
      onEntry(job, entry) {
        progress.count(entry?.state);
        if (entry?.state === 'failed') line.warn(`line ${job.number}: ${entry.error}`);
        if (entry && !flags.quiet) {
          line.clear();
          if (flags.json) context.out(`${JSON.stringify(entry)}\n`);
          else if (entry.files) context.out(`${entry.files.join(' ')}  ${textOf(job)}\n`);
        }
        progress.show();
      },
    });
    line.clear();
    line.remark(progress.summary);
    if (progress.failed > 0) context.exitCode = ExitCode.failure;
  } finally {
    line.clear();
    await engine.close();
    await record?.close();
  }
}

/** What is done, and how long the rest will take. */
class BatchProgress {
  readonly #start = performance.now();
  #made = 0;
  #before = 0;
  failed = 0;

  /** @param total undefined: nobody knows. */
  constructor(
    private readonly line: StatusLine,
    private readonly total: number | undefined,
  ) {}

  count(state: 'done' | 'failed' | undefined): void {
    if (state === undefined) this.#before++;
    else if (state === 'done') this.#made++;
    else this.failed++;
  }

  get summary(): string {
    const parts = [`${this.#made} made`];
    if (this.#before > 0) parts.push(`${this.#before} there before`);
    if (this.failed > 0) parts.push(`${this.failed} failed`);
    return parts.join(', ');
  }

  show(): void {
    const worked = this.#made + this.failed;
    const over = worked + this.#before;
    const seconds = (performance.now() - this.#start) / 1000;
    const rate = worked > 0 ? `, ${formatSeconds(seconds / worked)} each` : '';
    const left =
      this.total !== undefined && worked > 0
        ? `, ETA ${formatSeconds((seconds / worked) * (this.total - over))}`
        : '';
    this.line.show(`${over}${this.total === undefined ? '' : ` of ${this.total}`} jobs${rate}${left}`);
  }
}

/** What was asked for, for people. */
function textOf({ text }: Line): string {
  const prompt = text.startsWith('{') ? (JSON.parse(text) as { prompt?: unknown }).prompt : text;
  return oneLine(shorten(String(prompt ?? ''), 80));
}

async function save(
  { images }: GenerateResult,
  folder: string,
  name: string,
  format: string,
  encoding: { quality?: number },
): Promise<string[]> {
  const files: string[] = [];
  for (const [i, image] of images.entries()) {
    const file = `${name}${images.length > 1 ? `-${i + 1}` : ''}.${format}`;
    try {
      await image.save(join(folder, file), encoding);
    } catch (error) {
      throw new DeepCacheError('ERR_DEEPCACHE_OUTPUT', `${join(folder, file)}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    files.push(file);
  }
  return files;
}

const source = (jobs: string, context: CliContext): AsyncIterable<Uint8Array> =>
  jobs === STDIN ? context.input() : createReadStream(jobs);

async function countJobs(jobs: string): Promise<number> {
  try {
    await access(jobs);
    return await countLines(createReadStream(jobs));
  } catch (error) {
    if (error instanceof DeepCacheError) throw error;
    throw invalidArgument('jobs', `cannot be read: ${messageOf(error)}`);
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw new DeepCacheError('ERR_DEEPCACHE_OUTPUT', `${folder}: ${messageOf(error)}`, { cause: error });
  }
}
