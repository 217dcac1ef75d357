import { invalidArgument } from '../errors.js';
import type { Image } from '../images/image.js';
import { psnr } from '../metrics/psnr.js';
import type { UNet2DConditionModel } from '../models/unet.js';
import type { GenerateOptions } from '../pipelines/options.js';
import type { GenerateResult } from '../pipelines/result.js';

/** Decibels that equal pictures count: Infinity would drown all others. */
const EQUAL = 80;
/** Decibels that a single picture can speak for or against a schedule. */
const MAX_GAIN = 2;

/** Every pipeline that `tune` can search for. */
export interface TunablePipeline {
  generate(options: GenerateOptions): Promise<GenerateResult>;
  readonly unet: Pick<UNet2DConditionModel, 'validateBranch'>;
}

/** Full calls, and the branch of the others. */
export interface Schedule {
  steps: readonly number[];
  branch: number;
}

/** Runs schedules on a fixed set of prompts and seeds; a schedule is run once. */
export class Trials {
  calls = 0;
  runs = 0;
  #references: readonly Image[] = [];
  readonly #known = new Map<string, readonly number[]>();
  readonly #seconds = new Map<'full' | number, number>();

  constructor(
    private readonly pipe: TunablePipeline,
    private readonly options: GenerateOptions,
    private readonly onRun: (schedule: Schedule, psnr: number) => void,
  ) {}

  /** Makes the pictures without a cache. */
  async start(): Promise<void> {
    const { images, stats } = await this.pipe.generate({ ...this.options, cache: false });
    this.#references = images;
    this.calls = stats.calls;
    if (this.calls < 2) throw invalidArgument('steps', 'must be at least 2: one call has nothing to cache');
  }

  /** Mean decibels of the pictures. */
  async psnr(schedule: Schedule): Promise<number> {
    return mean(await this.#decibels(schedule));
  }

  /**
   * By how many decibels a schedule is better than another one, as the typical picture has it. A picture's gain or
   * loss counts up to a bound: now and then one tips over into another picture, which says little about others.
   */
  async gain(schedule: Schedule, other: Schedule): Promise<number> {
    const [values, others] = [await this.#decibels(schedule), await this.#decibels(other)];
    return mean(values.map((value, i) => clamp(value - (others[i] as number))));
  }

  async #decibels({ steps, branch }: Schedule): Promise<readonly number[]> {
    const key = `${branch}:${steps.join()}`;
    const known = this.#known.get(key);
    if (known) return known;
    const { images } = await this.pipe.generate({ ...this.options, cache: { steps, branch } });
    const values = images.map((image, i) => Math.min(EQUAL, psnr(image, this.#references[i] as Image)));
    this.#known.set(key, values);
    this.runs++;
    this.onRun({ steps, branch }, mean(values));
    return values;
  }

  /**
   * Seconds of a full call and of a cached one of each branch: the fastest of some, since other work on the machine
   * only ever slows calls down.
   */
  async measureCalls(branches: readonly number[]): Promise<void> {
    const enough = new Error('enough');
    for (const branch of branches) {
      this.pipe.unet.validateBranch(branch);
      const seen = { full: Infinity, cached: Infinity };
      for (let round = 0; round < 2; round++) {
        try {
          await this.pipe.generate({
            ...this.options,
            // The first calls make plans.
            cache: { steps: [0, 3].filter((step) => step < this.calls), branch },
            onStep: ({ step, full, seconds }) => {
              const kind = full ? 'full' : 'cached';
              seen[kind] = Math.min(seen[kind], seconds);
              if (step >= 6) throw enough;
            },
          });
        } catch (error) {
          if (error !== enough) throw error;
        }
      }
      this.#seconds.set('full', Math.min(seen.full, this.#seconds.get('full') ?? Infinity));
      this.#seconds.set(branch, seen.cached);
    }
  }

  /** What a number of full calls makes of the time: how many times as fast all calls together are. */
  speedup(count: number, branch: number): number {
    const full = this.#seconds.get('full') as number;
    const cached = this.#seconds.get(branch) as number;
    return (this.calls * full) / (count * full + (this.calls - count) * cached);
  }
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

const clamp = (gain: number) => Math.max(-MAX_GAIN, Math.min(MAX_GAIN, gain));
