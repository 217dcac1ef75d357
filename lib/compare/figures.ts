import type { ComparedRun, Difference } from './compared-run.js';
import type { SpeedupSpread } from './speedup.js';

/** A speed-up and how sure it is. */
type Speedup = SpeedupSpread & { speedup: number };

// Figures as people read them, the same in the picture, the page and the terminal.

export const decibels = (value: number) => (value === Infinity ? '∞ dB' : `${value.toFixed(1)} dB`);

export const similarity = (value: number) => (Number.isNaN(value) ? 'n/a' : value.toFixed(4));

/** Three digits: distances span orders of magnitude. */
export const distance = (value: number) =>
  value === 0 ? '0' : value < 1e-4 ? value.toExponential(1) : value.toPrecision(3);

export const seconds = (value: number) => `${value < 100 ? value.toPrecision(3) : value.toFixed(0)} s`;

export const times = (value: number) => `${value.toFixed(2)}×`;

/** With the range of what was measured; when that is too wide for a figure, it says so. */
export function speedupText({ speedup, speedupRange: [low, high], isNoisy }: Speedup): string {
  const range = `${low.toFixed(2)}–${high.toFixed(2)}`;
  if (isNoisy) return `too noisy to tell (${range}×)`;
  return low.toFixed(2) === high.toFixed(2) ? times(speedup) : `${times(speedup)} (${range})`;
}

export const percent = (share: number) => `${(100 * share).toFixed(0)} %`;

export const steps = ({ stats }: ComparedRun) =>
  `${stats.fullCalls} full + ${stats.retrieveCalls} cached` +
  (stats.predictedCalls > 0 ? ` + ${stats.predictedCalls} predicted` : '');

export const differenceText = ({ psnr, ssim, latentL2 }: Difference) =>
  `PSNR ${decibels(psnr)}, SSIM ${similarity(ssim)}, L2 ${distance(latentL2)}`;

/** The table of all runs: titles, then a row for each. */
export const COLUMNS: readonly { title: string; help: string; text: (run: ComparedRun) => string }[] = [
  { title: 'Setting', help: 'the DeepCache setting', text: ({ name }) => name },
  {
    title: 'Denoise',
    help: 'seconds in the U-Net and the sampler',
    text: ({ stats }) => seconds(stats.times.denoise),
  },
  { title: 'Speedup', help: 'over no cache, and the range of what was measured', text: speedupText },
  {
    title: 'Full',
    help: 'U-Net calls that computed everything',
    text: ({ stats }) => String(stats.fullCalls),
  },
  {
    title: 'Cached',
    help: 'U-Net calls that took the deep part from the cache',
    text: ({ stats }) => String(stats.retrieveCalls),
  },
  {
    title: 'Predicted',
    help: 'calls whose output was predicted, without the U-Net',
    text: ({ stats }) => String(stats.predictedCalls),
  },
  {
    title: 'MACs',
    help: 'multiply-accumulates of the U-Net, of those without a cache',
    text: ({ macsShare }) => percent(macsShare),
  },
  {
    title: 'PSNR',
    help: 'of 8-bit RGB; above 40 dB differences are hard to see',
    text: ({ psnr }) => decibels(psnr),
  },
  { title: 'SSIM', help: 'structural similarity of luma; 1 is equal', text: ({ ssim }) => similarity(ssim) },
  {
    title: 'Latent L2',
    help: 'relative distance of the latents; 0 is equal',
    text: ({ latentL2 }) => distance(latentL2),
  },
];
