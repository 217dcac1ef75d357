import {
  type ComparablePipeline,
  type CompareSettings,
  type Comparison,
  compare,
  type RunOptions,
} from '../compare/index.js';
import { invalidArgument } from '../errors.js';
import type { Image } from '../images/image.js';
import { accuracyOf, type Judge, judgeScene, readCaption, type Verdict } from '../judge/index.js';
import { toDecibels } from '../metrics/psnr.js';
import type { GenerateOptions } from '../pipelines/options.js';
import type { QualityReport, QualityRow } from './report.js';

export interface QualityOptions {
  /** What each picture shows. */
  prompts: readonly string[];
  /** Of the first picture; the next ones count up from it. Default 0. */
  seed?: number;
  /** Pictures of a run. Default 8. */
  batch?: number;
  /** How often every setting is run, of which the median time counts. Default 1. */
  repeats?: number;
  /** Pictures that the report keeps of every setting. Default 8. */
  keep?: number;
  /** Tells whether pictures show what prompts say, in the demo model's world. */
  judge?: Judge;
  onProgress?: (event: {
    picture: number;
    pictures: number;
    name: string;
    run: number;
    runs: number;
  }) => void;
}

/** Sums over the pictures of one setting. */
class Sums {
  pictures = 0;
  squaredError = 0;
  ssim = 0;
  latentL2 = 0;
  encode = 0;
  denoise = 0;
  decode = 0;
  fullSeconds = 0;
  fullCalls = 0;
  cachedSeconds = 0;
  cachedCalls = 0;
  macs = 0;
  kept: Image[] = [];
  verdicts: Verdict[][] = [];
}

/**
 * Measures over many prompts what cache settings cost in likeness and gain in time.
 *
 * The prompts are run in batches, each batch without a cache and with every setting in turn, so that whatever else
 * the machine does weighs on all alike. `options` are those of the pipeline's `generate`, without prompts and seeds.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT, what `compare` throws, the signal's reason after an abort.
 */
export async function measureQuality(
  pipe: ComparablePipeline<GenerateOptions>,
  options: RunOptions<GenerateOptions>,
  settings: CompareSettings,
  { prompts, seed = 0, batch = 8, repeats = 1, keep = 8, judge, onProgress }: QualityOptions,
): Promise<QualityReport> {
  if (prompts.length === 0) throw invalidArgument('prompts', 'must be at least one');
  if (!Number.isInteger(batch) || batch < 1) {
    throw invalidArgument('batch', `must be a whole number of at least 1, got ${String(batch)}`);
  }
  let sums: Sums[] = [];
  let last: Comparison | undefined;
  for (let start = 0; start < prompts.length; start += batch) {
    const part = prompts.slice(start, start + batch);
    const run = { ...options, prompt: part, seeds: part.map((_, i) => seed + start + i) };
    const steps = new Map<string, { full: boolean; seconds: number }[]>();
    const comparison = await compare(pipe, run, settings, {
      repeats,
      onProgress: ({ name, run, runs, step }) => {
        const list = steps.get(name) ?? [];
        list.push({ full: step.full, seconds: step.seconds / repeats });
        steps.set(name, list);
        onProgress?.({ picture: start, pictures: prompts.length, name, run, runs });
      },
    });
    const runs = [comparison.reference, ...comparison.runs];
    if (sums.length === 0) sums = runs.map(() => new Sums());
    for (const [i, { name, differences, images, stats, macsShare }] of runs.entries()) {
      const sum = sums[i] as Sums;
      for (const { psnr, ssim, latentL2 } of differences) {
        sum.squaredError += 255 ** 2 * 10 ** (-psnr / 10);
        sum.ssim += ssim;
        sum.latentL2 += latentL2;
      }
      sum.pictures += images.length;
      sum.encode += stats.times.encode + stats.times.prepare;
      sum.denoise += stats.times.denoise;
      sum.decode += stats.times.decode;
      sum.macs += macsShare * images.length;
      for (const { full, seconds } of steps.get(name) ?? []) {
        sum[full ? 'fullSeconds' : 'cachedSeconds'] += seconds;
        sum[full ? 'fullCalls' : 'cachedCalls'] += 1 / repeats;
      }
      for (const [k, image] of images.entries()) {
        if (sum.kept.length < keep) sum.kept.push(image);
        if (judge) sum.verdicts.push(judgeScene(readCaption(part[k] as string), judge.read(image)));
      }
    }
    last = comparison;
  }
  const { reference, runs } = last as Comparison;
  const base = sums[0] as Sums;
  return {
    prompts: [...prompts],
    seed,
    device: pipe.device,
    calls: reference.stats.calls,
    rows: [reference, ...runs].map(({ name, cache, stats, notes }, i) => ({
      ...{ name, cache, notes },
      full: stats.fullSteps,
      cached: stats.retrieveSteps,
      ...toRow(sums[i] as Sums, base),
    })),
  };
}

function toRow(sum: Sums, base: Sums): Omit<QualityRow, 'name' | 'cache' | 'full' | 'cached' | 'notes'> {
  const { pictures, denoise, verdicts } = sum;
  const speedup = base.denoise / denoise;
  const macsSpeedup = pictures / sum.macs;
  const unet = sum.fullSeconds + sum.cachedSeconds;
  const fullMean = sum.fullSeconds / sum.fullCalls;
  // Of a cached call, what its share of the multiply-accumulates would take at the full call's rate.
  const fullShare = sum.fullCalls / (sum.fullCalls + sum.cachedCalls);
  const cachedShare = sum.cachedCalls > 0 ? (sum.macs / pictures - fullShare) / (1 - fullShare) : 0;
  const ideal = sum.cachedCalls * fullMean * cachedShare;
  return {
    psnr: toDecibels(sum.squaredError / pictures),
    ssim: sum.ssim / pictures,
    latentL2: sum.latentL2 / pictures,
    seconds: denoise / pictures,
    speedup,
    macsSpeedup,
    share: speedup / macsSpeedup,
    lost: {
      cachedCalls: sum.cachedCalls > 0 ? (sum.cachedSeconds - ideal) / denoise : 0,
      betweenCalls: (denoise - unet) / denoise,
    },
    otherSeconds: (sum.encode + sum.decode) / pictures,
    images: sum.kept,
    ...(verdicts.length > 0 && { accuracy: accuracyOf(verdicts) }),
  };
}
