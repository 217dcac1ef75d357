import { textWidthOf, unetDefaults } from '../../configs/unet-size.js';
import type { LayersPerBlock } from '../../deepcache/index.js';
import type { JsonObject } from '../../files/json.js';
import { latentsOfVae, type ModelFacts, whole } from './facts.js';
import type { FolderFacts, LoadOptions, ModelIndex } from './parts.js';
import { unetRepairs } from './repairs.js';
import { readScheduler, schedulerOfIndex } from './scheduler-file.js';

/** The facts of a U-Net alone, by any format of configuration. */
export function factsOfUnet(config: Readonly<JsonObject>): ModelFacts {
  const { height, width, scale, frames = 1 } = unetDefaults(config);
  const latent = section(section(section(config, 'params'), 'unet_config'), 'params');
  const multiples = config.block_out_channels ?? config.ch_mult ?? latent.channel_mult;
  const inPixels = config._class_name === 'UNet2DModel' || Array.isArray(config.ch_mult);
  return {
    sampleWidth: width,
    sampleHeight: height,
    scale,
    frames,
    channels: whole(config.out_channels ?? config.out_ch ?? latent.out_channels, inPixels ? 3 : 4),
    contextWidth: inPixels ? 0 : whole(latent.context_dim ?? textWidthOf(config), 1280),
    levels: Array.isArray(multiples) ? multiples.length : 4,
    layersPerBlock: layersOf(config.layers_per_block ?? config.num_res_blocks ?? latent.num_res_blocks),
    guidanceWidth: whole(config.time_cond_proj_dim, 0),
    tileSize: inPixels ? 0 : 512,
    textLayers: 1000,
    pooledWidth: 0,
    classes: 0,
  };
}

/**
 * The facts of a model of diffusers' parts, and its sampler or the one that options name.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG and others for files that loading refuses, too.
 */
export async function readFolderFacts(
  { source, className, value }: ModelIndex,
  { scheduler: choice, signal }: Pick<LoadOptions, 'scheduler' | 'signal'>,
): Promise<FolderFacts> {
  const read = async (part: string) => (await source.json(`${part}/config.json`, { signal })).value;
  const own = await read('unet');
  const unet = { ...own, ...unetRepairs(className, own) };
  const vae = await read('vae');
  const latents = latentsOfVae(vae);
  const { scale } = latents;
  const side = Number([vae.sample_size].flat()[0]);
  const texts: Readonly<JsonObject>[] = [];
  for (const part of ['text_encoder', 'text_encoder_2']) if (source.has(part)) texts.push(await read(part));
  // A whole CLIP model's configuration has that of its text encoder inside.
  const inner = texts.map((text): JsonObject => ({ ...text, ...section(text, 'text_config') }));
  const last = inner.at(-1) ?? {};
  const isProjected = [last.architectures].flat().includes('CLIPTextModelWithProjection');
  const how = { pipeline: className, className: schedulerOfIndex(value), choice, signal };
  return {
    facts: {
      ...factsOfUnet(unet),
      ...latents,
      tileSize: side >= 4 * scale ? side - (side % (4 * scale)) : 512,
      textLayers: Math.min(1000, ...inner.map((text) => whole(text.num_hidden_layers, 12))),
      pooledWidth: whole(isProjected ? last.projection_dim : last.hidden_size, 0),
    },
    scheduler: (await readScheduler(source, how)).scheduler,
  };
}

/** A number, or one for each level. */
function layersOf(value: unknown): LayersPerBlock {
  return Array.isArray(value) ? value.map((layers) => whole(layers, 2)) : whole(value, 2);
}

function section(config: Readonly<JsonObject>, name: string): Readonly<JsonObject> {
  const value = config[name];
  return typeof value === 'object' && value !== null ? (value as JsonObject) : {};
}
