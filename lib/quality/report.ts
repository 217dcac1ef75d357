import { decibels, distance, percent, seconds, similarity, speedupText, times } from '../compare/figures.js';
import type { SpeedupSpread } from '../compare/index.js';
import type { CacheOptions } from '../deepcache/index.js';
import type { Image } from '../images/image.js';
import { type Accuracy, type Attribute, shareOf, type Tally } from '../judge/index.js';

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
  /** Full U-Net calls of a run. */
  full: number;
  /** Cached calls of a run. */
  cached: number;
  /** Predicted calls of a run. */
  predicted: number;
  /** Decibels, of the mean squared error of all pictures; Infinity for equal ones. */
  psnr: number;
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

/** Seconds of denoising a picture, and of a whole one. */
export const denoiseSeconds = ({ times: { full, cached, around } }: QualityRow) => full + cached + around;
export const pictureSeconds = (row: QualityRow) => row.times.prepare + denoiseSeconds(row) + row.times.decode;

export interface QualityColumn {
  title: string;
  help: string;
  text: (row: QualityRow) => string;
  /** What rows are sorted by. */
  value: (row: QualityRow) => number | string;
}

function column(
  title: string,
  value: (row: QualityRow) => number,
  format: (value: number) => string,
  help: string,
): QualityColumn {
  return { title, help, value, text: (row) => format(value(row)) };
}

/** A figure made of times, which says nothing where these were too noisy. */
function timed(...of: Parameters<typeof column>): QualityColumn {
  const made = column(...of);
  return { ...made, text: (row) => (row.isNoisy ? '?' : made.text(row)) };
}

const COLUMNS: readonly QualityColumn[] = [
  { title: 'Setting', help: 'the DeepCache setting', text: ({ name }) => name, value: ({ name }) => name },
  column('Full', ({ full }) => full, String, 'U-Net calls that computed everything'),
  column('Cached', ({ cached }) => cached, String, 'U-Net calls that took the deep part from the cache'),
  column(
    'Predicted',
    ({ predicted }) => predicted,
    String,
    'calls whose output was predicted, without the U-Net',
  ),
  column('PSNR', ({ psnr }) => psnr, decibels, 'of 8-bit RGB; above 40 dB differences are hard to see'),
  column('SSIM', ({ ssim }) => ssim, similarity, 'structural similarity of luma; 1 is equal'),
  column('Latent L2', (row) => row.latentL2, distance, 'relative distance of the latents; 0 is equal'),
  column('Denoise', denoiseSeconds, seconds, 'seconds of a picture in the U-Net and the sampler'),
  {
    title: 'Speedup',
    help: 'of denoising, over no cache, and the range of what was measured',
    text: speedupText,
    value: ({ speedup }) => speedup,
  },
  column('By MACs', (row) => row.macsSpeedup, times, 'what multiply-accumulates predict'),
  timed('Real share', ({ share }) => share, percent, 'speedup of what MACs predict'),
  timed(
    'Lost in calls',
    ({ lost }) => lost.cachedCalls,
    percent,
    'of denoising: what cached calls took beyond their MACs at the rate of full calls',
  ),
  timed(
    'around',
    ({ lost }) => lost.aroundCalls,
    percent,
    'of denoising: sampler and hand-over between calls',
  ),
  column('Picture', pictureSeconds, seconds, 'with reading the prompt and decoding'),
  timed('its speedup', (row) => row.pictureSpeedup, times, 'of whole pictures'),
];

const accuracyText = (share: number) => (Number.isNaN(share) ? '' : `${(100 * share).toFixed(1)} %`);

function judgeColumn(title: string, tally: (accuracy: Accuracy) => Tally, help: string): QualityColumn {
  const value = ({ accuracy }: QualityRow) => (accuracy ? shareOf(tally(accuracy)) : Number.NaN);
  return column(title, value, accuracyText, help);
}

const JUDGE_COLUMNS: readonly QualityColumn[] = [
  judgeColumn('Right', ({ all }) => all, 'what prompts ask for and pictures show, by the judge'),
  judgeColumn('objects', ({ groups }) => groups.objects, 'and their places'),
  judgeColumn('colors', ({ groups }) => groups.colors, 'of objects'),
  judgeColumn('background', ({ groups }) => groups.background, 'sky, ground, sun, moon, mountains, clouds'),
  judgeColumn('Whole pictures', ({ pictures }) => pictures, 'that show all that their prompt asks for'),
];

const CLIP_COLUMN = column(
  'CLIP',
  ({ clipScore = Number.NaN }) => clipScore,
  (value) => value.toFixed(2),
  'score of pictures and prompts: 100 times the cosine of their embeddings',
);

export function qualityColumns({ rows }: QualityReport): readonly QualityColumn[] {
  return [
    ...COLUMNS,
    ...(rows.some(({ clipScore }) => clipScore !== undefined) ? [CLIP_COLUMN] : []),
    ...(rows.some(({ accuracy }) => accuracy) ? JUDGE_COLUMNS : []),
  ];
}

/** Titles, then a line for each row. */
export function qualityTable(report: QualityReport): string[][] {
  const columns = qualityColumns(report);
  return [
    columns.map(({ title }) => title),
    ...report.rows.map((row) => columns.map(({ text }) => text(row))),
  ];
}

/** What pictures show of each kind of thing, in percent, with how many were asked for; nothing without a judge. */
export function accuracyTable({ rows }: QualityReport): string[][] {
  const kinds = Object.entries(rows[0]?.accuracy?.attributes ?? {}) as [Attribute, Tally][];
  if (kinds.length === 0) return [];
  return [
    ['Right of', ...kinds.map(([name, { of }]) => `${of} ${name}`)],
    ...rows.map(({ name, accuracy }) => [
      name,
      ...kinds.map(([kind]) => accuracyText(shareOf(accuracy?.attributes[kind] as Tally))),
    ]),
  ];
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
  return {
    ...rest,
    rows: rows.map(({ pictures, ...row }) => ({
      ...plain(row),
      pictures: pictures.map(({ image: _, ...figures }) => plain(figures)),
    })),
  };
}
