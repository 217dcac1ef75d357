import type { ClipModel } from '../clip-score/index.js';
import {
  type ComparablePipeline,
  type CompareSettings,
  type Comparison,
  compare,
  type RunOptions,
} from '../compare/index.js';
import { invalidArgument } from '../errors.js';
import type { FidMeasure } from '../fid/index.js';
import { FidRows } from '../fid/rows.js';
import { type Judge, judgeScene, readCaption } from '../judge/index.js';
import { show } from '../messages.js';
import { checkNames } from '../names.js';
import type { GenerateOptions } from '../pipelines/inputs/options.js';
import { drawSeed, isRandom } from '../pipelines/inputs/seeds.js';
import type { QualityReport } from './report.js';
import { Sums } from './sums.js';

/** What settings are measured with. */
export interface QualityOptions {
  /** What each picture shows. */
  prompts: readonly string[];
  /** Of the first picture; the next ones count up from it. Default 0; -1 is a random one. */
  seed?: number;
  /** Pictures of a run. Default 8. */
  batch?: number;
  /** How often every setting is run, of which the median time counts. By default short runs are made three to five times. */
  repeats?: number;
  /** Pictures that the report keeps of every setting. Default 8. */
  keep?: number;
  /** Tells whether pictures show what prompts say, in the demo model's world. */
  judge?: Judge;
  /** Says how well pictures and prompts fit each other. */
  clip?: Pick<ClipModel, 'scores'>;
  /** Says how far each setting's pictures as a whole are from reference pictures. */
  fid?: FidMeasure;
  /** Ends the measurement; the report has the batches that were finished. */
  stop?: AbortSignal;
  /** Called in every U-Net call. What it throws, or the rejection of a promise that it returns, ends the measurement. */
  onProgress?: (event: QualityEvent) => unknown;
}

const NAMES = ['prompts', 'seed', 'batch', 'repeats', 'keep', 'judge', 'clip', 'fid', 'stop', 'onProgress'];

/** Where a measurement stands: in a run of some pictures with a setting. */
export interface QualityEvent {
  /** The first picture of the run, from 0. */
  picture: number;
  /** How many pictures the run makes. */
  batch: number;
  /** In all. */
  pictures: number;
  /** The setting that is run. */
  name: string;
  /** Of these pictures, from 1 to `runs`. */
  run: number;
  /** Runs of these pictures. */
  runs: number;
}

/**
 * Measures over many prompts what cache settings cost in similarity and gain in time.
 *
 * The prompts are run in batches, each batch without a cache and with every setting in turn, so that whatever else
 * the machine does affects all of them equally. `options` are those of the pipeline's `generate`, without prompts and seeds.
 * {@link qualityTable}, {@link qualityJson} and {@link qualityPage} show the report.
 *
 * ```ts
 * const report = await measureQuality(pipe, { steps: 25 }, ['balanced', { interval: 5, branch: 1 }], { prompts });
 * await writeFile('quality.html', await qualityPage(report));
 * ```
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT, what `compare` throws, the signal's reason after an abort.
 */
export async function measureQuality(
  pipe: ComparablePipeline<GenerateOptions>,
  options: RunOptions<GenerateOptions>,
  settings: CompareSettings,
  measuring: QualityOptions,
): Promise<QualityReport> {
  checkNames(measuring, NAMES);
  const {
    prompts,
    seed: given = 0,
    batch = 8,
    repeats,
    keep = 8,
    judge,
    clip,
    fid,
    stop,
    onProgress,
  } = measuring;
  if (prompts.length === 0) throw invalidArgument('prompts', 'must be at least one');
  if (!Number.isInteger(batch) || batch < 1) {
    throw invalidArgument('batch', `must be a whole number of at least 1, got ${show(batch)}`);
  }
  const seed = isRandom(given) ? drawSeed() : given;
  const fidRows = fid && new FidRows(fid);
  let sums: Sums[] = [];
  let last: Comparison | undefined;
  let done = 0;
  const signals = [options.signal, stop].filter((signal) => signal !== undefined);
  const signal = AbortSignal.any(signals);
  for (let start = 0; start < prompts.length; start += batch) {
    const part = prompts.slice(start, start + batch);
    const run = { ...options, signal, prompt: part, seeds: part.map((_, i) => seed + start + i) };
    const comparing = compare(pipe, run, settings, {
      ...(repeats !== undefined && { repeats }),
      onProgress: ({ name, run, runs }) =>
        onProgress?.({ picture: start, batch: part.length, pictures: prompts.length, name, run, runs }),
    });
    const comparison = await comparing.catch((error) => {
      if (stop?.aborted && !options.signal?.aborted && done > 0) return undefined;
      throw error;
    });
    if (!comparison) break;
    const runs = [comparison.reference, ...comparison.runs];
    if (sums.length === 0) sums = runs.map(() => new Sums(keep));
    for (const [i, compared] of runs.entries()) {
      const verdicts =
        judge &&
        compared.images.map((image, k) => judgeScene(readCaption(part[k] as string), judge.read(image)));
      const clipScores = await clip?.scores(compared.images, part, options.signal);
      await fidRows?.add(i, compared.images, options.signal);
      (sums[i] as Sums).add(compared, { ...(verdicts && { verdicts }), ...(clipScores && { clipScores }) });
    }
    last = comparison;
    done = start + part.length;
  }
  const { reference } = last as Comparison;
  const rows = sums.map((sum) => sum.row(sums[0] as Sums));
  return {
    prompts: prompts.slice(0, done),
    seed,
    device: pipe.device,
    calls: reference.stats.calls,
    rows: (await fidRows?.measured(rows, options.signal)) ?? rows,
  };
}
