import type { CacheOptions } from '../deepcache/index.js';
import { DeepCacheError } from '../errors.js';
import type { Image } from '../images/image.js';
import type { UNetModel } from '../models/unet.js';
import type { GenerateOptions } from '../pipelines/inputs/options.js';
import type { GenerateResult, RunReport, StepEvent } from '../pipelines/outputs/result.js';
import type { Tensor } from '../tensor.js';

/** Every pipeline that denoises with a cached U-Net. */
export interface ComparablePipeline<Options> {
  /** As {@link DiffusionPipeline.generate}. */
  generate(options: Options): Promise<GenerateResult>;
  /** What says which branches there are, and what calls cost. */
  readonly unet: Pick<UNetModel, 'validateBranch' | 'macs' | 'branches'>;
  /** 'cpu' or 'cuda:0'. */
  readonly device: string;
}

/** A finished run, and the latents that its pictures were decoded from. */
export interface TimedRun extends RunReport {
  images: readonly Image[];
  latents: Tensor;
}

/** Runs of a pipeline that differ in nothing but their cache, each of them on a pipeline that is warm for it. */
export class TimedRuns<Options extends GenerateOptions> {
  /** The branch whose plans the U-Net holds. */
  #branch: number | undefined;

  constructor(
    private readonly pipe: ComparablePipeline<Options>,
    private readonly options: Options,
  ) {}

  /**
   * Starts a run and ends it behind its first full and its first cached call, so that the plans of the size and branch
   * are made and the memory is touched. Returns the number of U-Net calls of a whole run.
   */
  async warmUp(branch: number): Promise<number> {
    let calls = 0;
    const warm = new Error('warm');
    const onStep = (event: StepEvent) => {
      calls = event.calls;
      if (event.call === 2) throw warm;
    };
    try {
      await this.pipe.generate({ ...this.options, cache: { steps: [0], branch }, onStep });
    } catch (error) {
      if (error !== warm) throw error;
    }
    this.#branch = branch;
    return calls;
  }

  /** `branch`: that of the retrieve steps; undefined when there are none, which every warm pipeline is ready for. */
  async run(
    cache: CacheOptions,
    branch: number | undefined,
    calls: number,
    onStep: (event: StepEvent) => unknown,
  ): Promise<TimedRun> {
    // The U-Net keeps the plans of one branch: with another one they would be made on the clock.
    if (branch !== undefined && branch !== this.#branch) await this.warmUp(branch);
    let latents: Tensor | undefined;
    const result = await this.pipe.generate({
      ...this.options,
      cache,
      // Only the last call's: reading them takes time.
      latentsEvery: calls,
      onStep: ({ latents: read, ...event }: StepEvent) => {
        latents = read;
        return onStep(event);
      },
    });
    if (!latents) throw new DeepCacheError('ERR_DEEPCACHE_INTERNAL', `call ${calls} was not the last one`);
    return { ...result, latents };
  }
}
