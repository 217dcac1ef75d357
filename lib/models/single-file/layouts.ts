import type { Checkpoint } from './checkpoint.js';
import { formerClipNames, openClipNames } from './clip-names.js';
import { averagedKey, type Naming, prefixed, sameNames } from './place.js';
import { ldmUnetNames, unetStructure } from './unet-names.js';
import { ldmVaeNames, videoVaeNames } from './vae-names.js';

type Config = Readonly<Record<string, unknown>>;

/** How a checkpoint names the tensors of a part. */
export interface Layout {
  readonly prefix: string;
  /** A tensor, behind the prefix, that is there in this layout only. */
  readonly probe: string;
  /** @param config of the part: it decides about the names. */
  naming(config: Config): Naming;
}

const same = () => sameNames;
const levelsOf = ({ block_out_channels: channels }: Config) =>
  Array.isArray(channels) ? channels.length : 4;

/** Every probe below every prefix. */
function layouts(prefixes: readonly string[], styles: readonly Omit<Layout, 'prefix'>[]): Layout[] {
  return prefixes.flatMap((prefix) =>
    styles.map(({ probe, naming }) => ({
      prefix,
      probe,
      naming: (config: Config) => prefixed(prefix, naming(config)),
    })),
  );
}

const UNET = layouts(
  ['model.diffusion_model.', '', 'unet.'],
  [
    { probe: 'input_blocks.0.0.weight', naming: (config) => ldmUnetNames(unetStructure(config)) },
    { probe: 'time_embedding.linear_1.weight', naming: same },
  ],
);

const VAE: readonly Layout[] = [
  {
    prefix: '',
    probe: 'first_stage_model.decoder.conv_out.time_mix_conv.weight',
    naming: (config) => videoVaeNames(levelsOf(config)),
  },
  ...layouts(
    ['first_stage_model.', '', 'vae.'],
    [
      { probe: 'decoder.mid.block_1.norm1.weight', naming: (config) => ldmVaeNames(levelsOf(config)) },
      { probe: 'decoder.mid_block.resnets.0.norm1.weight', naming: same },
      // Of videos.
      { probe: 'decoder.time_conv_out.weight', naming: same },
    ],
  ),
];

const CLIP = [
  { probe: 'text_model.embeddings.token_embedding.weight', naming: same },
  { probe: 'embeddings.token_embedding.weight', naming: () => formerClipNames },
  { probe: 'token_embedding.weight', naming: () => openClipNames },
] as const;

const VISION = [
  { probe: 'vision_model.embeddings.patch_embedding.weight', naming: same },
  { probe: 'conv1.weight', naming: () => openClipNames },
] as const;

/** By the parts' names in diffusers. */
export const LAYOUTS: Readonly<Record<string, readonly Layout[]>> = {
  unet: UNET,
  vae: VAE,
  text_encoder: layouts(
    [
      'cond_stage_model.transformer.',
      'cond_stage_model.model.',
      'conditioner.embedders.0.transformer.',
      'text_encoder.',
      '',
    ],
    CLIP,
  ),
  text_encoder_2: layouts(
    ['conditioner.embedders.1.model.', 'conditioner.embedders.0.model.', 'text_encoder_2.', ''],
    CLIP,
  ),
  image_encoder: layouts(['conditioner.embedders.0.open_clip.model.visual.', 'image_encoder.', ''], VISION),
};

/** The layout that a part of a checkpoint has; undefined: the checkpoint has no such part. */
export function layoutOf(checkpoint: Checkpoint, part: string): Layout | undefined {
  const known = Object.hasOwn(LAYOUTS, part) ? LAYOUTS[part] : undefined;
  return known?.find(({ prefix, probe }) => checkpoint.has(prefix + probe));
}

/** Names of the original layout in those of the weights' running means (LDM's LitEma). */
export function averaged(naming: Naming): Naming {
  return (name) => {
    const place = naming(name);
    return { ...place, key: averagedKey(place.key) };
  };
}
