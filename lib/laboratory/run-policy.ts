import { computedMacs } from '../compare/computed-macs.js';
import type { Image } from '../images/image.js';
import type { AnyPipeline } from '../pipelines/diffusion-pipeline.js';
import type { StableDiffusionPipeline } from '../pipelines/families/stable-diffusion.js';
import type { Family } from '../pipelines/family.js';
import type { GenerateOptions, RunOptions } from '../pipelines/inputs/options.js';
import type { PipelineParts } from '../pipelines/loading/parts.js';
import type { ComputedCalls } from '../pipelines/loop/calls.js';
import type { RunReport } from '../pipelines/outputs/result.js';
import type { LabPolicy } from './policy.js';
import { Session } from './session.js';

/** What a policy made of a picture. */
export interface PolicyRun extends RunReport {
  readonly image: Image;
  /** [1, c, h, w] */
  readonly latents: Float32Array;
  /** Multiply-accumulates in those of a full call. */
  readonly cost: number;
}

/** Of any pipeline that makes pictures: their families differ in what is before and behind the loop. */
type AnyMade = Family<GenerateOptions, RunOptions, PipelineParts, unknown>;

/**
 * Makes a picture with a pipeline whose loop a policy decides, call by call, or by a cache that lays out all calls before; everything
 * around it is the pipeline's.
 *
 * @param shares see SessionRun.
 * @throws DeepCacheError ERR_DEEPCACHE_UNSUPPORTED for runs that the laboratory does not know, and what `generate` throws.
 */
export async function runPolicy(
  pipe: AnyPipeline,
  options: GenerateOptions,
  policy: LabPolicy,
  shares: readonly number[],
): Promise<PolicyRun> {
  // Whatever it is: all have a constructor of the same form.
  const Own = pipe.constructor as typeof StableDiffusionPipeline;
  const own = Own.family as unknown as AnyMade;
  const { means } = policy;
  let cost: number | undefined;
  let latents: Float32Array | undefined;
  const family: AnyMade = {
    ...own,
    async prepare(run) {
      const { plan, scheduler, parts } = run;
      const { latent, guided, signal } = run.options;
      const stages = await own.prepare(run);
      return {
        ...stages,
        ...('begin' in means && {
          async loop(_, start) {
            const unet = parts.unet.native;
            const session = new Session({ unet, plan, scheduler, start, latent, guided, shares, signal });
            const looped = await session.finish(policy, means.begin);
            cost = session.cost;
            return looped;
          },
        }),
        async decode(sampled) {
          latents = sampled.data;
          return stages.decode(sampled);
        },
      };
    },
  };
  class Laboratory extends Own {
    static override readonly family = family as unknown as typeof Own.family;
  }
  const laboratory: AnyPipeline = Laboratory.from(pipe);
  try {
    const cache = 'cache' in means && means.cache(options.steps as number);
    const { images, ...report } = await laboratory.generate({ ...options, cache });
    const { computed } = report.stats;
    // The first call of a run is a full one, of all outputs.
    cost ??=
      (await computedMacs(pipe.unet, computed)) /
      (await computedMacs(pipe.unet, computed.slice(0, 1).map(one)));
    return { ...report, image: images[0] as Image, latents: latents as Float32Array, cost };
  } finally {
    await laboratory.dispose();
  }
}

const one = (computed: ComputedCalls): ComputedCalls => ({ ...computed, calls: 1 });
