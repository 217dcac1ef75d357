import type { CacheOptions } from '../deepcache/index.js';
import type { Image } from '../images/image.js';
import { relativeL2 } from '../metrics/latents.js';
import { meanSquaredError, toDecibels } from '../metrics/psnr.js';
import { SSIM_WINDOW, ssim } from '../metrics/ssim.js';
import type { GenerateOptions } from '../pipelines/inputs/options.js';
import type { Seed } from '../pipelines/inputs/seeds.js';
import type { Tensor } from '../tensor.js';
import type { ComparedPictures, ComparedRun, Difference } from './compared-run.js';
import { comparisonPage } from './page.js';
import { comparisonPicture } from './picture.js';
import { median, spreadOf } from './speedup.js';
import type { TimedRun } from './timed-runs.js';

export interface ComparisonContext {
  options: GenerateOptions;
  device: string;
  /** Multiply-accumulates of every run. */
  macs: readonly number[];
}

/** The median run of a setting, and what {@link speedupsOf} says of every round. */
type RunOfSetting = TimedRun & { name: string; cache: CacheOptions; speedups: readonly [number, number][] };

/** The same pictures with several cache settings. */
export class Comparison implements ComparedPictures {
  /** The run without a cache. */
  readonly reference: ComparedRun;
  /** The settings' runs, in their order. */
  readonly runs: readonly ComparedRun[];
  /** Seeds of all runs: one, or one for each image. */
  readonly seeds: readonly Seed[];
  /** What each image shows: its prompt, and its number where a prompt has several. */
  readonly titles: readonly string[];
  /** 'cpu' or 'cuda:0'. */
  readonly device: string;

  /** @internal The first run is the one without a cache. */
  constructor(runs: readonly RunOfSetting[], { options, device, macs }: ComparisonContext) {
    const reference = runs[0] as TimedRun;
    const compared = runs.map((run, i): ComparedRun => {
      const { name, cache, images, latents, stats, notes } = run;
      const speedups = run.speedups.flat();
      return {
        ...{ name, cache, images, latents, stats, notes },
        image: images[0] as Image,
        ...difference(images, latents, reference.images, reference.latents),
        differences: images.map((image, k) =>
          difference([image], latentsOf(run, k), [reference.images[k] as Image], latentsOf(reference, k)),
        ),
        speedup: median(run.speedups.map(([ratio]) => ratio)),
        speedups,
        ...spreadOf(speedups),
        macsShare: (macs[i] as number) / (macs[0] as number),
      };
    });
    this.reference = compared[0] as ComparedRun;
    this.runs = compared.slice(1);
    this.seeds = reference.seeds;
    this.titles = titlesOf(options, reference.images.length);
    this.device = device;
  }

  /** All pictures side by side with captions: a row for each image, the uncached ones on the left. */
  picture(): Image {
    return comparisonPicture(this);
  }

  /** A page that needs nothing but itself: a slider between the uncached picture and any other, and the figures. */
  html(): Promise<string> {
    return comparisonPage(this);
  }

  /** The figures, without pictures. Not every number is one in JSON: 'Infinity' and 'NaN' are texts. */
  toJSON(): object {
    const figures = (run: ComparedRun) => {
      const { image: _image, images: _images, latents: _latents, speedups: _speedups, ...rest } = run;
      return { ...rest, ...plain(run), differences: run.differences.map(plain) };
    };
    const { titles, device } = this;
    const seeds = this.seeds.map(String);
    return { titles, seeds, device, reference: figures(this.reference), runs: this.runs.map(figures) };
  }
}

export function difference(
  images: readonly Image[],
  latents: Pick<Tensor, 'data'>,
  references: readonly Image[],
  referenceLatents: Pick<Tensor, 'data'>,
): Difference {
  const mean = (value: (image: Image, reference: Image) => number) =>
    images.reduce((sum, image, i) => sum + value(image, references[i] as Image), 0) / images.length;
  const isTiny = images.some(({ width, height }) => Math.min(width, height) < SSIM_WINDOW);
  return {
    psnr: toDecibels(mean(meanSquaredError)),
    ssim: isTiny ? Number.NaN : mean(ssim),
    latentL2: relativeL2(latents.data, referenceLatents.data),
  };
}

function latentsOf({ latents, images }: TimedRun, index: number): Pick<Tensor, 'data'> {
  const count = latents.data.length / images.length;
  return { data: latents.data.subarray(index * count, (index + 1) * count) };
}

function titlesOf({ prompt }: GenerateOptions, images: number): string[] {
  const prompts = prompt === undefined ? [] : typeof prompt === 'string' ? [prompt] : prompt;
  const each = images / Math.max(prompts.length, 1);
  return Array.from({ length: images }, (_, i) => {
    const text = prompts[Math.floor(i / each)] ?? '(encoded prompt)';
    return each > 1 ? `${text} (image ${(i % each) + 1})` : text;
  });
}

function plain({ psnr, ssim, latentL2 }: Difference): object {
  const number = (value: number) => (Number.isFinite(value) ? value : String(value));
  return { psnr: number(psnr), ssim: number(ssim), latentL2: number(latentL2) };
}
