import { decibels, distance, percent, seconds, similarity, times } from '../compare/figures.js';
import type { CacheOptions } from '../deepcache/index.js';
import type { Image } from '../images/image.js';
import type { Accuracy } from '../judge/index.js';

/** A setting's figures over all pictures. */
export interface QualityRow {
  name: string;
  cache: CacheOptions;
  /** U-Net calls of a run. */
  full: number;
  cached: number;
  /** Decibels, of the mean squared error of all pictures; Infinity for equal ones. */
  psnr: number;
  /** Means over the pictures. */
  ssim: number;
  latentL2: number;
  /** Of denoising one picture. */
  seconds: number;
  /** How many times as fast denoising was as without a cache, and would be if time were multiply-accumulates. */
  speedup: number;
  macsSpeedup: number;
  /** speedup / macsSpeedup */
  share: number;
  /** Shares of the denoising time that MACs do not explain. */
  lost: {
    /** Cached calls took longer than their multiply-accumulates at the rate of a full call: fixed costs, small layers. */
    cachedCalls: number;
    /** Around the calls: sampler, what is computed once per run, hand-over between threads. */
    betweenCalls: number;
  };
  /** Of reading the prompt and decoding one picture. */
  otherSeconds: number;
  /** The first pictures. */
  images: readonly Image[];
  /** What of the prompts the pictures show, when there was a judge. */
  accuracy?: Accuracy;
  notes: readonly string[];
}

export interface QualityReport {
  prompts: readonly string[];
  seed: number;
  device: string;
  calls: number;
  /** The uncached run, then the settings. */
  rows: readonly QualityRow[];
}

const COLUMNS: readonly { title: string; text: (row: QualityRow) => string }[] = [
  { title: 'Setting', text: ({ name }) => name },
  { title: 'Full', text: ({ full }) => String(full) },
  { title: 'Cached', text: ({ cached }) => String(cached) },
  { title: 'PSNR', text: ({ psnr }) => decibels(psnr) },
  { title: 'SSIM', text: ({ ssim }) => similarity(ssim) },
  { title: 'Latent L2', text: ({ latentL2 }) => distance(latentL2) },
  { title: 'Denoise', text: (row) => seconds(row.seconds) },
  { title: 'Speedup', text: ({ speedup }) => times(speedup) },
  { title: 'By MACs', text: ({ macsSpeedup }) => times(macsSpeedup) },
  { title: 'Real share', text: ({ share }) => percent(share) },
  { title: 'Lost in cached calls', text: ({ lost }) => percent(lost.cachedCalls) },
  { title: 'between calls', text: ({ lost }) => percent(lost.betweenCalls) },
];

const JUDGE_COLUMNS: readonly { title: string; text: (row: QualityRow) => string }[] = [
  { title: 'Right', text: ({ accuracy }) => (accuracy ? `${(100 * accuracy.all).toFixed(1)} %` : '') },
  {
    title: 'Right pictures',
    text: ({ accuracy }) => (accuracy ? `${(100 * accuracy.pictures).toFixed(1)} %` : ''),
  },
];

/** Titles, then a line for each row. */
export function qualityTable({ rows }: QualityReport): string[][] {
  const columns = rows.some(({ accuracy }) => accuracy) ? [...COLUMNS, ...JUDGE_COLUMNS] : COLUMNS;
  return [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ text }) => text(row)))];
}

/** The figures, without pictures; 'Infinity' and 'NaN' are texts. */
export function qualityJson({ rows, ...rest }: QualityReport): object {
  const plain = (value: number) => (Number.isFinite(value) ? value : String(value));
  return {
    ...rest,
    rows: rows.map(({ images: _images, ...row }) => ({
      ...row,
      psnr: plain(row.psnr),
      ssim: plain(row.ssim),
    })),
  };
}
