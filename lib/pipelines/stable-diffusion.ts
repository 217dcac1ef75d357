import { checkTensor } from './checks.js';
import { registerPipeline } from './diffusion-pipeline.js';
import { LatentPipeline, type RunContext, type RunStart } from './latent-pipeline.js';
import type { GenerateOptions } from './options.js';

/** Text to image with Stable Diffusion 1.x and models of its structure. */
export class StableDiffusionPipeline extends LatentPipeline {
  static override readonly className: string = 'StableDiffusionPipeline';

  protected override async loadInputs(): Promise<void> {}

  protected override defaultSize(): { width: number; height: number } {
    const size = this.unet.sampleSize * this.vae.scale;
    return { width: size, height: size };
  }

  protected override stepsToRun(): undefined {}

  protected override async start(
    { compiled, noise, latent }: RunContext,
    { latents }: GenerateOptions,
  ): Promise<RunStart> {
    const unit = latents
      ? checkTensor('latents', latents, latent).data
      : noise.draw(latent[1] * latent[2] * latent[3]);
    return { latents: unit.map((value) => value * compiled.initNoiseSigma) };
  }
}

registerPipeline(StableDiffusionPipeline);
