import { maxFramesOf, usualFramesOf } from '../../configs/unet-size.js';
import { DeepCacheError, invalidArgument } from '../../errors.js';
import type { UNetMotionModel } from '../../models/unet-motion.js';
import { toFreeNoise } from '../../options/free-noise.js';
import type { OptionsOf } from '../../options/spec/index.js';
import type { Family } from '../family.js';
import type { TextRunOptions } from '../inputs/options.js';
import { textToImage } from '../inputs/text-to-image.js';
import type { ModelFacts } from '../loading/facts.js';
import { readFolderFacts } from '../loading/folder-facts.js';
import { findMotionAdapter, MOTION_PIPELINE } from '../loading/motion-parts.js';
import type { LoadOptions, ModelIndex, SDParts } from '../loading/parts.js';
import { registerPipeline } from '../loading/registry.js';
import { latentFamily, type VideoShape } from './latent.js';
import { SD_MODEL, StableDiffusion } from './stable-diffusion.js';

/** Options of AnimateDiff. Names are diffusers', in camelCase. */
export interface AnimateDiffOptions extends OptionsOf<'animatediff'> {}

const video = latentFamily<AnimateDiffOptions, SDParts, undefined>({
  ...SD_MODEL,
  className: MOTION_PIPELINE,
  options: 'animatediff',
  kind: textToImage(),
  videoOf,
});

const family: Family<AnimateDiffOptions, TextRunOptions, SDParts, undefined> = {
  ...video,
  async readFacts(index, options) {
    const { facts, scheduler } = await readFolderFacts(index, options);
    return { facts: withFrames(facts, await maxFramesIn(index, options)), scheduler };
  },
  facts: (parts) => withFrames(video.facts(parts), (parts.unet as UNetMotionModel).maxFrames),
  resolve(given, facts, scheduler, size) {
    // Its threshold is one of a whole video, and the runtime knows frames.
    if (scheduler.config.thresholding === true) {
      throw new DeepCacheError(
        'ERR_DEEPCACHE_UNSUPPORTED',
        'scheduler: thresholding is for pictures, not for videos',
      );
    }
    return video.resolve(given, facts, scheduler, size);
  },
};

/**
 * Text to video with a model of Stable Diffusion 1 and motion modules (Guo et al. 2023, AnimateDiff), which are loaded
 * with the option `motionAdapter`. The result's images are the frames of all videos, one behind the other; its tensor
 * holds [videos * frames, ...].
 */
export class AnimateDiffPipeline extends StableDiffusion<AnimateDiffOptions> {
  static override readonly family = family;

  override get unet(): UNetMotionModel {
    return this.components.unet as UNetMotionModel;
  }

  /** ControlNets know no frames. */
  override loadControlNet(): Promise<never> {
    const message = 'ControlNets are for pictures: an AnimateDiffPipeline takes none';
    return Promise.reject(new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', message));
  }

  /** Nor do T2I-Adapters. */
  override loadT2IAdapter(): Promise<never> {
    const message = 'T2I-Adapters are for pictures: an AnimateDiffPipeline takes none';
    return Promise.reject(new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', message));
  }

  /** @internal Those in the model's folder are for its pictures. */
  protected override async loadExtras(_: ModelIndex, { controlNet, t2iAdapter }: LoadOptions): Promise<void> {
    if (controlNet !== undefined) await this.loadControlNet();
    if (t2iAdapter !== undefined) await this.loadT2IAdapter();
  }
}

registerPipeline(AnimateDiffPipeline);

function videoOf(
  { numFrames, freeNoise: given }: AnimateDiffOptions,
  { frames: usual, maxFrames = usual }: ModelFacts,
): VideoShape {
  const frames = numFrames ?? usual;
  const freeNoise = toFreeNoise(given, { frames, maxFrames });
  if (frames <= maxFrames || freeNoise) return { frames, freeNoise };
  throw invalidArgument(
    'numFrames',
    `is ${frames}; these motion modules take at most ${maxFrames}, and longer videos with freeNoise`,
  );
}

function withFrames(facts: ModelFacts, maxFrames: number): ModelFacts {
  return { ...facts, frames: usualFramesOf(maxFrames), maxFrames };
}

/** Without loading anything. */
async function maxFramesIn(index: ModelIndex, options: LoadOptions): Promise<number> {
  const motion = await findMotionAdapter(index, options);
  const { value } = await index.source.json('unet/config.json', { signal: options.signal });
  return maxFramesOf(motion?.config ?? value);
}
