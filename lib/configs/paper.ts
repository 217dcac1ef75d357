/**
 * Figures of the DeepCache paper (arXiv 2312.00858, CVPR 2024) that follow from an architecture alone: average
 * multiply-accumulates per step, in billions, for one sample, by the counter of the paper's own code.
 */
export interface PublishedRow {
  /** The table of the paper. */
  table: string;
  /** What the row is called there. */
  row: string;
  /** Of UNET_CONFIGS. */
  model: string;
  /** Steps of a run, and every how many one is full; interval 1: no cache. */
  steps: number;
  /** Every how many calls one is full; 1: no cache. */
  interval: number;
  /** Our number of the branch. */
  branch: number;
  /** The paper's figure: billions of multiply-accumulates per step and sample. */
  published: number;
  /** Why the figure cannot be reproduced, where it cannot. */
  exception?: string;
}

const CIFAR = { table: '2', model: 'ddpm-cifar10', steps: 100, branch: 2 };
const LSUN = { table: '2', model: 'ddpm-lsun', steps: 100, branch: 2 };
const LDM = { table: '1', model: 'ldm4-cin256', steps: 250, branch: 0 };
const SD = { table: '3', model: 'sd15', steps: 50, branch: 1 };

const UNKNOWN = 'the cause is not known; the rows around it match';

/** Table 12: CIFAR-10, every 5th step in full, by the branch at which steps are cut short. */
const BY_BRANCH = [1.6, 2.24, 3.01, 3.89, 4.58, 5.31, 5.45, 5.6, 5.88, 5.95, 5.99, 6.03];

const BY_BRANCH_EXCEPTIONS: Readonly<Record<number, string>> = {
  1: 'the released DDPM code has no such branch',
  6: UNKNOWN,
  7: UNKNOWN,
  8: UNKNOWN,
};

function intervals(
  base: Omit<PublishedRow, 'row' | 'interval' | 'published'>,
  name: string,
  published: Readonly<Record<number, number>>,
): PublishedRow[] {
  return Object.entries(published).map(([interval, value]) => ({
    ...base,
    row: Number(interval) === 1 ? `${name}, every step in full` : `${name}, N = ${interval}`,
    interval: Number(interval),
    published: value,
  }));
}

export const PUBLISHED_MACS: readonly PublishedRow[] = [
  ...intervals(LDM, 'LDM-4-G, ImageNet', { 1: 99.82, 2: 52.12, 3: 36.48, 5: 23.5, 10: 13.97, 20: 9.39 }),
  ...intervals(CIFAR, 'DDPM, CIFAR-10', { 1: 6.1, 2: 4.15, 3: 3.54, 5: 3.01, 10: 2.63 }),
  ...intervals(LSUN, 'DDPM, LSUN bedroom and church', { 1: 248.7, 2: 190.8, 3: 172.3, 5: 156.0 }),
  ...intervals(SD, 'Stable Diffusion v1.5', { 1: 338.83 }),
  {
    ...SD,
    row: 'Stable Diffusion v1.5, N = 5',
    interval: 5,
    published: 130.45,
    exception:
      'no branch gives it at N = 5: branch 1 has 113.63, branch 2 has 146.28; nearest is N = 4 with branch 1',
  },
  ...BY_BRANCH.map((published, i) => ({
    ...CIFAR,
    table: '12',
    row: `DDPM, CIFAR-10, N = 5, skip branch ${i + 1}`,
    interval: 5,
    branch: i,
    published,
    ...(BY_BRANCH_EXCEPTIONS[i + 1] && { exception: BY_BRANCH_EXCEPTIONS[i + 1] as string }),
  })),
];
