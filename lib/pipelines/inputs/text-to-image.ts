import { checkTensor } from '../../options/checks.js';
import { inSlices, mapParts } from '../../slices.js';
import type { GenerateOptions } from './options.js';
import type { RunContext, RunKind, RunStart } from './run-kind.js';

/** From noise. */
export function textToImage(): RunKind<GenerateOptions, undefined> {
  return {
    takesMask: false,
    encodesImages: false,
    load: async () => undefined,
    size: () => undefined,
    span: () => ({}),
    settings: () => ({}),
    bytes: () => 0,
    prepare: async (_, { latents }) => ({ start: (context) => startFromNoise(context, latents) }),
  };
}

async function startFromNoise(
  { compiled, noise, latent, options }: RunContext,
  given: GenerateOptions['latents'],
): Promise<RunStart> {
  const unit = given
    ? (await checkTensor('latents', given, latent, options.signal)).data
    : await noise.draw(latent[1] * latent[2] * latent[3], options.signal);
  const scaled = mapParts(unit, (value) => value * compiled.initNoiseSigma);
  return { latents: await inSlices(scaled, options.signal) };
}
