import { hasTags } from '../../../adapters/tags.js';
import { invalidArgument } from '../../../errors.js';
import { hiresFixOf } from '../../../hires/fields.js';
import type { RawImage } from '../../../images/input.js';
import { show } from '../../../messages.js';
import { drawSeed } from '../../../pipelines/inputs/seeds.js';
import { type Context, modelOf, namesOf } from '../context.js';
import type { Wanted } from '../jobs/request.js';
import type { Limits } from '../limits.js';
import { checkPicture, pictureOfText } from '../pictures.js';
import type { Body } from './body.js';
import { controlUnits } from './controlnet.js';
import { samplerOf } from './samplers.js';

/** Previews of a run, for those who ask for its progress. */
const PREVIEWS = 8;
/** Where neither a request nor its model says anything. */
const DEFAULTS = { steps: 50, cfg_scale: 7, strength: 0.75, clipLayers: 1, hrScale: 2, hrStrength: 0.7 };

/** A run as the web UI's fields describe it; each picture has a seed of its own, one above that of the last. */
export async function wantedOf(
  context: Context,
  body: Body,
  chosen: string | undefined,
  limits: Limits,
): Promise<Wanted & { readonly seeds: readonly number[] }> {
  const { prompt, width, height, eta, cache } = body;
  const override = body.override_settings ?? {};
  const model = modelOf(context, modelName(override.sd_model_checkpoint ?? undefined) ?? chosen);
  const usual = await context.engine.about?.(model);
  const steps = body.steps ?? usual?.steps ?? DEFAULTS.steps;
  const guidanceScale = body.cfg_scale ?? usual?.guidanceScale ?? DEFAULTS.cfg_scale;
  const upscalers = (namesOf(context, model).upscalers ?? []).map(({ name }) => name);
  const count = (body.batch_size ?? 1) * (body.n_iter ?? 1);
  if (count < 1 || count > limits.images)
    throw invalidArgument(
      'batch_size',
      `and n_iter make ${count} pictures; this server allows 1 to ${limits.images}`,
    );
  const first = body.seed === undefined || body.seed === null || body.seed < 0 ? drawSeed() : body.seed;
  const seeds = Array.from({ length: count }, (_, i) => first + i);
  const clipLayers = override.CLIP_stop_at_last_layers ?? body.clip_skip ?? DEFAULTS.clipLayers;
  const sampler = samplerOf(
    body.sampler_name ?? body.sampler_index ?? undefined,
    body.scheduler ?? undefined,
  );
  const [image] = body.init_images ?? [];
  const options = {
    ...{ prompt: prompt ?? '', negativePrompt: body.negative_prompt, seeds, numImages: count },
    ...{ steps, guidanceScale, width, height, eta, cache, scheduler: sampler },
    // 1 is all of them there.
    clipSkip: clipLayers > 1 ? clipLayers - 1 : undefined,
    // What its prompts mean.
    ...{ promptWeighting: true, longPrompts: true },
    loraSyntax: prompt && hasTags(prompt) ? true : undefined,
    strength: image === undefined ? undefined : (body.denoising_strength ?? DEFAULTS.strength),
    hiresFix: body.enable_hr ? secondPass(body, upscalers) : undefined,
  };
  const units = controlUnits(body);
  return {
    model,
    seeds,
    ...(units && { networks: { controlNets: units.controlNets } }),
    options: Object.fromEntries(
      Object.entries({ ...options, ...units?.options }).filter(
        ([, value]) => value !== undefined && value !== null,
      ),
    ),
    image,
    mask: await maskOf(body, limits),
    previewEvery: Math.max(1, Math.ceil(steps / PREVIEWS)),
  };
}

/** What clients call a model: its name, or its title with a hash behind it. */
export function modelName(title: string | undefined): string | undefined {
  return title?.replace(/ \[[0-9a-f]+\]$/, '');
}

/** @param upscalers names of networks that enlarge. */
function secondPass(body: Body, upscalers: readonly string[]): object {
  const { hr_scale, hr_upscaler, hr_second_pass_steps: steps, denoising_strength } = body;
  const name = hr_upscaler ?? 'Latent';
  const scale = hr_scale ?? DEFAULTS.hrScale;
  const latent = hiresFixOf({ 'Hires upscale': '2', 'Hires upscaler': name });
  if (!latent && !upscalers.includes(name))
    throw invalidArgument('hr_upscaler', `${show(name)} is not known`);
  return {
    ...{ scale, strength: denoising_strength ?? DEFAULTS.hrStrength },
    ...(steps && steps > 0 && { steps }),
    upscaler: latent?.upscaler ?? name,
    ...(latent?.antialias && { antialias: true }),
  };
}

/** White is what is painted anew; `inpainting_mask_invert` turns it round. */
async function maskOf(
  { mask, inpainting_mask_invert }: Body,
  limits: Limits,
): Promise<string | RawImage | undefined> {
  if (!mask) return undefined;
  if (!inpainting_mask_invert) return mask;
  const { width, height, data } = await checkPicture('mask', await pictureOfText('mask', mask), limits);
  return { width, height, channels: 3, data: data.map((value) => 255 - value) };
}
