import { decibels, distance, percent, seconds, similarity, speedupText, times } from '../compare/figures.js';
import { type Accuracy, type Attribute, shareOf, type Tally } from '../judge/index.js';
import type { QualityReport, QualityRow } from './report.js';

/** Seconds of denoising a picture, and of a whole one. */
export const denoiseSeconds = ({ times: { full, cached, around } }: QualityRow) => full + cached + around;
export const pictureSeconds = (row: QualityRow) => row.times.prepare + denoiseSeconds(row) + row.times.decode;

/** Means of counts are seldom whole. */
const few = (value: number) => String(Number(value.toFixed(1)));

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

/** In the laboratory, where times are those of U-Net calls one by one. */
const POLICY_COLUMNS: readonly QualityColumn[] = [
  {
    title: 'Policy',
    help: 'its kind, with settings other than the published ones',
    text: ({ name }) => name,
    value: ({ name }) => name,
  },
  column(
    'Cost',
    ({ macsSpeedup }) => 1 / macsSpeedup,
    (share) => share.toFixed(3),
    'multiply-accumulates of those of a run without a cache',
  ),
  column('Full', ({ full }) => full, few, 'U-Net calls that computed everything, on average'),
  column('Cached', ({ cached }) => cached, few, 'U-Net calls that took the deep part from the cache'),
  column('Predicted', ({ predicted }) => predicted, few, 'calls whose output was made up, without the U-Net'),
  column('PSNR', (row) => row.meanPsnr, decibels, 'of 8-bit RGB, the mean of all pictures'),
  {
    title: '10 to 90 %',
    help: 'where four in five pictures lie',
    text: ({ psnrRange: [low, high] }) => `${decibels(low).replace(' dB', '')} to ${decibels(high)}`,
    value: ({ psnrRange: [low] }) => low,
  },
  column(
    'Worst',
    (row) => row.worstPsnr,
    decibels,
    'of the picture that is least like the one without a cache',
  ),
  column('SSIM', ({ ssim }) => ssim, similarity, 'structural similarity of luma; 1 is equal'),
  column('Latent SNR', (row) => row.latentSnr, decibels, 'of the latents, the mean'),
  { title: 'Speedup', help: 'of the U-Net calls alone', text: speedupText, value: ({ speedup }) => speedup },
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

const FID_COLUMN = column(
  'FID',
  ({ fid = Number.NaN }) => fid,
  (value) => value.toFixed(2),
  'Fréchet Inception distance of all pictures to the reference pictures; 0 is equal',
);

export function qualityColumns({ rows }: QualityReport): readonly QualityColumn[] {
  return [
    ...(rows.some(({ policy }) => policy) ? POLICY_COLUMNS : COLUMNS),
    ...(rows.some(({ clipScore }) => clipScore !== undefined) ? [CLIP_COLUMN] : []),
    ...(rows.some(({ fid }) => fid !== undefined) ? [FID_COLUMN] : []),
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
