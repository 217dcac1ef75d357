import { checkTensor } from './checks.js';
import type { GenerateOptions } from './options.js';
import type { RunKind } from './run-kind.js';

/** From noise. */
export function textToImage(): RunKind<GenerateOptions, undefined> {
  return {
    options: [],
    encodesImages: false,
    load: async () => undefined,
    size: () => undefined,
    span: () => ({}),
    async start({ compiled, noise, latent }, { latents }) {
      const unit = latents
        ? checkTensor('latents', latents, latent).data
        : noise.draw(latent[1] * latent[2] * latent[3]);
      return { latents: unit.map((value) => value * compiled.initNoiseSigma) };
    },
  };
}
