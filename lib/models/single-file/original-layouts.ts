import { openClipNames } from './clip-names.js';
import { type Naming, prefixed, sameNames } from './place.js';
import { ldmUnetNames, unetStructure } from './unet-names.js';
import { ldmVaeNames, videoVaeNames } from './vae-names.js';

type Config = Readonly<Record<string, unknown>>;

/** The layouts of original checkpoints: where their parts are, and what tensors are called. */
export type OriginalLayout = 'sd1' | 'sd2' | 'sdxl' | 'sdxl-refiner' | 'svd';

const IMAGES = {
  unet: (config: Config) => prefixed('model.diffusion_model.', ldmUnetNames(unetStructure(config))),
  vae: (config: Config) => prefixed('first_stage_model.', ldmVaeNames(levelsOf(config))),
};

const LAYOUTS: Readonly<Record<OriginalLayout, Readonly<Record<string, (config: Config) => Naming>>>> = {
  sd1: { ...IMAGES, text_encoder: () => prefixed('cond_stage_model.transformer.', sameNames) },
  sd2: { ...IMAGES, text_encoder: () => prefixed('cond_stage_model.model.', openClipNames) },
  sdxl: {
    ...IMAGES,
    text_encoder: () => prefixed('conditioner.embedders.0.transformer.', sameNames),
    text_encoder_2: () => prefixed('conditioner.embedders.1.model.', openClipNames),
  },
  'sdxl-refiner': {
    ...IMAGES,
    text_encoder_2: () => prefixed('conditioner.embedders.0.model.', openClipNames),
  },
  svd: {
    unet: IMAGES.unet,
    vae: (config) => videoVaeNames(levelsOf(config)),
    image_encoder: () => prefixed('conditioner.embedders.0.open_clip.model.visual.', openClipNames),
  },
};

/**
 * The original layout of a model in the diffusers layout; undefined where there is none.
 *
 * @param index its model_index.json.
 * @param text the configuration of its first text encoder.
 */
export function originalLayoutOf(index: Config, text: Config = {}): OriginalLayout | undefined {
  const name = String(index._class_name);
  const has = (part: string) => Array.isArray(index[part]) && typeof index[part][1] === 'string';
  if (name === 'StableVideoDiffusionPipeline') return 'svd';
  if (/^StableDiffusionXL/.test(name)) return has('text_encoder') ? 'sdxl' : 'sdxl-refiner';
  if (!has('text_encoder')) return undefined;
  // OpenAI's encoders, of Stable Diffusion 1, compute with an approximation.
  return text.hidden_act === 'gelu' ? 'sd2' : 'sd1';
}

/** What a layout calls the tensors of a part, by its configuration; undefined: it has no such part. */
export function originalNaming(layout: OriginalLayout, part: string, config: Config): Naming | undefined {
  const parts = LAYOUTS[layout];
  return Object.hasOwn(parts, part) ? parts[part]?.(config) : undefined;
}

function levelsOf({ block_out_channels: channels }: Config): number {
  return Array.isArray(channels) ? channels.length : 4;
}
