import { requireShapes } from '../../options/checks.js';
import type { OptionsOf } from '../../options/spec/index.js';
import { countOf } from '../../tensor.js';
import type { Run, Stages } from '../family.js';
import type { RunOptions } from '../inputs/options.js';
import { checkSeeds } from '../inputs/seeds.js';
import { startNoise } from '../inputs/text-to-image.js';
import type { ModelFacts } from '../loading/facts.js';
import type { PipelineParts } from '../loading/parts.js';
import type { RanCall } from '../loop/calls.js';
import {
  endFields,
  type SettingsFields,
  samplerFields,
  seedFields,
  settingsText,
} from '../outputs/settings.js';

/** What pipelines without prompts take. Names are diffusers', in camelCase. */
export type SamplingOptions = Pick<OptionsOf<'ddpm'>, keyof OptionsOf<'ddpm'> & keyof OptionsOf<'ldm'>>;

/**
 * The options of a run that samples pictures of the model's own size from noise.
 *
 * @param run what the family knows: its guidance, the number of pictures, its rule of full calls.
 */
export function resolveSampling(
  options: SamplingOptions,
  facts: ModelFacts,
  run: Pick<RunOptions, 'steps' | 'images' | 'guided' | 'guidance' | 'policy'>,
): RunOptions {
  const { sampleHeight, sampleWidth, channels } = facts;
  const latent = [run.images, channels, sampleHeight, sampleWidth] as const;
  checkSeeds(options, run.images);
  requireShapes(options, { latents: latent });
  return { ...options, ...run, latent, guidanceRescale: 0, span: {}, output: options.output ?? 'image' };
}

/** Their runs start from noise; what conditions them is known at once. */
export function startSampling({
  options,
  plan,
}: Pick<Run<RunOptions, PipelineParts, unknown>, 'options' | 'plan'>): Stages['start'] {
  const [, ...each] = options.latent;
  return async (noise) => ({
    latents: await startNoise(options, plan.compiled.initNoiseSigma, () =>
      noise.draw(countOf(each), options.signal),
    ),
  });
}

/** What their pictures are made with; `own` are fields of the family. */
export function samplingSettings<Options extends RunOptions>(
  { parts, facts, scheduler, options }: Run<Options, PipelineParts, unknown>,
  seeds: readonly bigint[],
  calls: readonly RanCall[],
  own: (image: number) => SettingsFields,
): string[] {
  const [width, height] = [facts.sampleWidth, facts.sampleHeight].map((size) => size * facts.scale);
  const sampler = samplerFields(scheduler, options);
  return Array.from({ length: options.images }, (_, image) =>
    settingsText({
      fields: {
        Steps: options.steps,
        ...sampler,
        ...own(image),
        ...seedFields(seeds, options.images, image),
        Size: `${width}x${height}`,
        Latents: options.latents && 'given',
        ...endFields(parts, options.cache, calls),
      },
    }),
  );
}
