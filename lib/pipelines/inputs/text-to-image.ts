import { inSlices, mapParts } from '../../slices.js';
import { countOf } from '../../tensor.js';
import { ONLY_LATENTS } from '../loading/unet-inputs.js';
import { framesFirst } from './frames.js';
import type { GenerateOptions, RunOptions } from './options.js';
import type { RunKind, RunStart, StartContext } from './run-kind.js';

/** From noise. */
export function textToImage(): RunKind<GenerateOptions, undefined> {
  return {
    gives: ONLY_LATENTS,
    encodesImages: false,
    isSizedByImage: false,
    load: async () => undefined,
    size: () => undefined,
    span: () => ({}),
    settings: () => ({}),
    bytes: () => 0,
    prepare: async () => ({ start: startFromNoise }),
  };
}

/** Noise, the seed's or one that is given, scaled as the sampler wants it. */
export async function startNoise(
  { latents, signal }: Pick<RunOptions, 'latents' | 'signal'>,
  initNoiseSigma: number,
  draw: () => Promise<Float32Array>,
): Promise<Float32Array> {
  const unit = latents?.data ?? (await draw());
  return inSlices(
    mapParts(unit, (value) => value * initNoiseSigma),
    signal,
  );
}

async function startFromNoise({ compiled, noise, options }: StartContext): Promise<RunStart> {
  const { frames = 1, freeNoise, signal } = options;
  const [, ...each] = options.latent;
  // A video is drawn as a whole, [channels, frames, h, w].
  const draw = async () => {
    const values = await noise.draw(frames * countOf(each), signal);
    if (freeNoise?.noiseType === 'shuffle_context') {
      const [channels, height, width] = each;
      const shape = { videos: options.batch, channels, frames, pixels: height * width };
      await inSlices(noise.shuffled(values, shape, freeNoise.windows), signal);
    }
    return values;
  };
  const latents = await startNoise(options, compiled.initNoiseSigma, draw);
  return { latents: await inSlices(framesFirst(latents, frames, each), signal) };
}
