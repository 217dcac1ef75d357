import type { CacheOptions } from '../deepcache/index.js';
import type { Image } from '../images/image.js';
import type { Seed } from '../pipelines/inputs/seeds.js';
import type { GenerateStats } from '../pipelines/outputs/result.js';
import type { Tensor } from '../tensor.js';
import type { SpeedupSpread } from './speedup.js';

/** How one image, or all images of a run together, differ from those of the uncached run. */
export interface Difference {
  /** Decibels, of 8-bit RGB; Infinity for equal images. Of several images: of their mean squared error. */
  psnr: number;
  /** 1 for equal images; NaN for images too small for its window. Of several images: the mean. */
  ssim: number;
  /** Relative L2 distance of the latents: 0 for equal ones. */
  latentL2: number;
}

/** A setting's run. */
export interface ComparedRun extends Difference, SpeedupSpread {
  /** What the setting is called: its key, or as the command line spells it. */
  name: string;
  /** The setting. */
  cache: CacheOptions;
  /** The first image. */
  image: Image;
  /** All images of the run. */
  images: readonly Image[];
  /** In model scale, [images, channels, height, width]. */
  latents: Tensor;
  /** Of the run with the median time. */
  stats: GenerateStats;
  /** How many times as fast as the uncached run denoising was; of several rounds the median. */
  speedup: number;
  /** What {@link SpeedupSpread} is drawn from: of every round the ratio, and that without the machine's drift. */
  speedups: readonly number[];
  /** The U-Net's multiply-accumulates of the run, as a share of the uncached run's. */
  macsShare: number;
  /** The same figures for each image. */
  differences: readonly Difference[];
  /** Remarks of the run, such as that a preset was not followed. */
  notes: readonly string[];
}

/** What pictures and pages of a comparison are made from. */
export interface ComparedPictures {
  /** The run without a cache. */
  readonly reference: ComparedRun;
  /** The settings' runs, in their order. */
  readonly runs: readonly ComparedRun[];
  /** Seeds of all runs: one, or one for each image. */
  readonly seeds: readonly Seed[];
  /** What each image shows: its prompt, and its number where a prompt has several. */
  readonly titles: readonly string[];
  readonly device: string;
}
