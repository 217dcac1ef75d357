import type { SpeedupSpread } from '../compare/index.js';
import type { CacheOptions } from '../deepcache/index.js';
import type { Image } from '../images/image.js';
import type { Accuracy, Attribute } from '../judge/index.js';

/** Seconds of one picture, on average. */
export interface PictureTimes {
  /** Reading the prompt, drawing noise and whatever else comes before the first call. */
  prepare: number;
  /** Inside of the U-Net calls that are full. */
  full: number;
  /** Those from the cache. */
  cached: number;
  /** Around them: the sampler, what is computed once per run, hand-over between threads. */
  around: number;
  /** Decoding it. */
  decode: number;
}

/** One of the first pictures. */
export interface QualityPicture {
  /** The picture. */
  image: Image;
  /** Decibels to the picture without a cache. */
  psnr: number;
  /** 1 for equal pictures. */
  ssim: number;
  /** Relative L2 distance of its latents to those without a cache. */
  latentL2: number;
  /** What the judge misses of the prompt. */
  wrong?: readonly Attribute[];
}

/** A setting's figures over all pictures. */
export interface QualityRow extends SpeedupSpread {
  /** What the setting is called. */
  name: string;
  /** The setting. */
  cache: CacheOptions;
  /** In the laboratory: what kind of policy it is, and which paper or code it does as. */
  policy?: { family: string; reference: string };
  /** Full U-Net calls of a run; the mean where runs decide themselves. */
  full: number;
  /** Cached calls of a run. */
  cached: number;
  /** Predicted calls of a run. */
  predicted: number;
  /** Decibels, of the mean squared error of all pictures; Infinity for equal ones. */
  psnr: number;
  /** The mean of all pictures' decibels, in which single ones that are another picture count less. */
  meanPsnr: number;
  /** Where four in five pictures lie. */
  psnrRange: readonly [number, number];
  /** Of the picture that is least like the one without a cache. */
  worstPsnr: number;
  /** That picture, and the place of its prompt. */
  worst: (QualityPicture & { prompt: number }) | undefined;
  /** Mean decibels of the latents, -20 log10 of their relative L2 distance. */
  latentSnr: number;
  /** Means over the pictures. */
  ssim: number;
  /** Relative L2 distance of the latents to those without a cache, the mean. */
  latentL2: number;
  /** Seconds of a picture. */
  times: PictureTimes;
  /** How many times as fast denoising was as without a cache, and would be if time were multiply-accumulates. */
  speedup: number;
  /** Multiply-accumulates of a run without a cache over those of this one. */
  macsSpeedup: number;
  /** speedup / macsSpeedup */
  share: number;
  /** The same of whole pictures, with reading the prompt and decoding. */
  pictureSpeedup: number;
  /** Shares of the denoising time that MACs do not explain. */
  lost: {
    /** Cached calls took longer than their multiply-accumulates at the rate of a full call: fixed costs, small layers. */
    cachedCalls: number;
    aroundCalls: number;
  };
  /** Figures of each picture. */
  pictures: readonly QualityPicture[];
  /** What of the prompts the pictures show, when there was a judge. */
  accuracy?: Accuracy;
  /** How well pictures fit their prompts by CLIP, 0 to 100, the mean; when there was a model. */
  clipScore?: number;
  /** Fréchet Inception distance of all pictures to the reference; when there was one. */
  fid?: number;
  /** Remarks of the runs, such as a prompt that was cut off. */
  notes: readonly string[];
}

/** What was measured of all settings. */
export interface QualityReport {
  /** What the pictures show, in their order. */
  prompts: readonly string[];
  /** Of the first picture; the next ones count up from it. */
  seed: number;
  /** 'cpu' or 'cuda:0'. */
  device: string;
  /** U-Net calls of a run. */
  calls: number;
  /** The uncached run, then the settings. */
  rows: readonly QualityRow[];
}

/** Remarks of the runs; what those without a cache say, the others say again. */
export function qualityNotes({ rows }: QualityReport): string[] {
  const common = rows[0]?.notes ?? [];
  const own = rows.flatMap(({ name, notes }) =>
    notes.filter((note) => !common.includes(note)).map((note) => `${name}: ${note}`),
  );
  return [...common, ...own];
}

/** The figures, without pictures; 'Infinity' and 'NaN' are texts. */
export function qualityJson({ rows, ...rest }: QualityReport): object {
  const number = (value: number) => (Number.isFinite(value) ? value : String(value));
  const plain = <T extends { psnr: number; ssim: number }>(figures: T) => ({
    ...figures,
    psnr: number(figures.psnr),
    ssim: number(figures.ssim),
  });
  const withoutImage = ({ image: _, ...figures }: QualityPicture) => plain(figures);
  return {
    ...rest,
    rows: rows.map(({ pictures, worst, ...row }) => ({
      ...plain(row),
      ...{ meanPsnr: number(row.meanPsnr), worstPsnr: number(row.worstPsnr) },
      psnrRange: row.psnrRange.map(number),
      latentSnr: number(row.latentSnr),
      worst: worst && withoutImage(worst),
      pictures: pictures.map(withoutImage),
    })),
  };
}
