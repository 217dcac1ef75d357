import type { ComparedRun, Difference } from '../compare/index.js';
import { quantiles, spreadOf } from '../compare/speedup.js';
import type { Image } from '../images/image.js';
import { accuracyOf, type Verdict } from '../judge/index.js';
import { toDecibels } from '../metrics/psnr.js';
import type { GenerateStats } from '../pipelines/outputs/result.js';
import type { PictureTimes, QualityPicture, QualityRow } from './report.js';

/** What is said of each picture of a run. */
interface Judgements {
  verdicts?: readonly (readonly Verdict[])[];
  clipScores?: readonly number[];
}

/** What the figures of a setting are made from. */
export interface SummedRun
  extends Pick<ComparedRun, 'name' | 'cache' | 'differences' | 'macsShare' | 'speedups' | 'notes'> {
  /** Of each picture; those of which none is shown may be missing. */
  readonly images: readonly (Image | undefined)[];
  readonly stats: Pick<
    GenerateStats,
    'times' | 'callTimes' | 'calls' | 'fullCalls' | 'retrieveCalls' | 'predictedCalls'
  >;
}

/** Sums over the pictures of one setting. */
export class Sums {
  #count = 0;
  #squaredError = 0;
  #ssim = 0;
  #latentL2 = 0;
  #macs = 0;
  readonly #calls = { full: 0, cached: 0, predicted: 0 };
  readonly #psnrs: number[] = [];
  #latentSnr = 0;
  #worst: QualityRow['worst'];
  readonly #speedups: number[] = [];
  readonly #times: PictureTimes = { prepare: 0, full: 0, cached: 0, around: 0, decode: 0 };
  readonly #pictures: QualityPicture[] = [];
  readonly #verdicts: (readonly Verdict[])[] = [];
  readonly #clipScores: number[] = [];
  readonly #notes = new Set<string>();
  #last: SummedRun | undefined;

  /** `keep`: pictures to hold on to. */
  constructor(private readonly keep: number) {}

  /** The pictures of a run, and what a judge and CLIP say to each of them. */
  add(run: SummedRun, { verdicts, clipScores }: Judgements = {}): void {
    const { stats, images, differences, macsShare, notes } = run;
    const before = this.#count;
    this.#count += differences.length;
    for (const [i, difference] of differences.entries()) {
      const { psnr, ssim, latentL2 } = difference;
      this.#squaredError += 255 ** 2 * 10 ** (-psnr / 10);
      this.#ssim += ssim;
      this.#latentL2 += latentL2;
      this.#latentSnr -= 20 * Math.log10(latentL2);
      const image = images[i];
      if (image && (this.#worst === undefined || psnr < this.#worst.psnr))
        this.#worst = { ...pictureOf(image, difference, verdicts?.[i]), prompt: before + i };
      if (image && before + i < this.keep) this.#pictures.push(pictureOf(image, difference, verdicts?.[i]));
      this.#psnrs.push(psnr);
    }
    this.#verdicts.push(...(verdicts ?? []));
    this.#clipScores.push(...(clipScores ?? []));
    this.#macs += macsShare * differences.length;
    this.#calls.full += stats.fullCalls * differences.length;
    this.#calls.cached += stats.retrieveCalls * differences.length;
    this.#calls.predicted += stats.predictedCalls * differences.length;
    this.#speedups.push(...run.speedups);
    const { times, callTimes } = stats;
    this.#times.prepare += times.encode + times.prepare;
    this.#times.full += callTimes.full;
    this.#times.cached += callTimes.retrieve;
    // Predicted calls are the sampler's own arithmetic.
    this.#times.around += times.denoise - callTimes.full - callTimes.retrieve;
    this.#times.decode += times.decode;
    for (const note of notes) this.#notes.add(note);
    this.#last = run;
  }

  /** The means; `base` are the sums of the uncached runs. */
  row(base: Sums): QualityRow {
    const { name, cache, stats } = this.#last as SummedRun;
    const [full, cached, predicted] = Object.values(this.#calls).map((calls) => calls / this.#count) as [
      number,
      number,
      number,
    ];
    const times = this.#means();
    const baseTimes = base.#means();
    const macs = this.#macs / this.#count;
    const speedup = denoise(baseTimes) / denoise(times);
    // Of cached calls, what their multiply-accumulates would take at the rate of the full calls.
    const fullShare = full / stats.calls;
    const ideal = (times.full * (macs - fullShare)) / fullShare;
    return {
      ...{ name, cache, full, cached, predicted },
      psnr: toDecibels(this.#squaredError / this.#count),
      ...spreadOfPsnr(this.#psnrs),
      latentSnr: this.#latentSnr / this.#count,
      worst: this.#worst,
      ssim: this.#ssim / this.#count,
      latentL2: this.#latentL2 / this.#count,
      times,
      speedup,
      ...spreadOf(this.#speedups),
      macsSpeedup: 1 / macs,
      share: speedup * macs,
      pictureSpeedup: total(baseTimes) / total(times),
      lost: {
        cachedCalls: cached > 0 ? (times.cached - ideal) / denoise(times) : 0,
        aroundCalls: times.around / denoise(times),
      },
      pictures: this.#pictures,
      ...(this.#clipScores.length > 0 && { clipScore: mean(this.#clipScores) }),
      ...(this.#verdicts.length > 0 && { accuracy: accuracyOf(this.#verdicts) }),
      notes: [...this.#notes],
    };
  }

  #means(): PictureTimes {
    const { prepare, full, cached, around, decode } = this.#times;
    const mean = (sum: number) => sum / this.#count;
    return {
      prepare: mean(prepare),
      full: mean(full),
      cached: mean(cached),
      around: mean(around),
      decode: mean(decode),
    };
  }
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;
const denoise = ({ full, cached, around }: PictureTimes) => full + cached + around;
const total = (times: PictureTimes) => times.prepare + denoise(times) + times.decode;

/** The mean of decibels, and where four in five of the pictures lie. */
function spreadOfPsnr(psnrs: readonly number[]): Pick<QualityRow, 'meanPsnr' | 'psnrRange' | 'worstPsnr'> {
  const [low, high] = quantiles(psnrs, [0.1, 0.9]) as [number, number];
  return { meanPsnr: mean(psnrs), psnrRange: [low, high], worstPsnr: Math.min(...psnrs) };
}

function pictureOf(
  image: Image,
  { psnr, ssim, latentL2 }: Difference,
  verdicts: readonly Verdict[] | undefined,
): QualityPicture {
  const wrong = verdicts?.filter(({ isRight }) => !isRight).map(({ attribute }) => attribute);
  return { image, psnr, ssim, latentL2, ...(wrong && { wrong }) };
}
