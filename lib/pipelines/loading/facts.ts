import type { LayersPerBlock } from '../../deepcache/index.js';
import type { JsonObject } from '../../files/json.js';
import type { UNetModel } from '../../models/unet.js';

/** What a model is like by its configurations: enough to check options and to plan a run. */
export interface ModelFacts {
  /** Size of the samples that the U-Net was trained on: latent pixels, where it works on latents. */
  readonly sampleWidth: number;
  readonly sampleHeight: number;
  /** Channels of what is sampled. */
  readonly channels: number;
  /** Image pixels of a latent one. */
  readonly scale: number;
  /** Side of a tile of the autoencoder, in image pixels. */
  readonly tileSize: number;
  readonly contextWidth: number;
  /** What the branches of the cache are counted by. */
  readonly levels: number;
  readonly layersPerBlock: LayersPerBlock;
  /** Width of the guidance scale as an input of the U-Net; 0: it takes none. */
  readonly guidanceWidth: number;
  /** Layers of the text encoder that has the fewest, and the width of the last one's pooled output. */
  readonly textLayers: number;
  readonly pooledWidth: number;
  /** Frames of a video where options name none; 1: pictures. */
  readonly frames: number;
  /** Frames that motion modules take at most; undefined: there are none. */
  readonly maxFrames?: number | undefined;
  /** Classes that a model of classes knows. */
  readonly classes: number;
  /** Of upscalers, how noisy a picture may be. */
  readonly maxNoiseLevel?: number | undefined;
}

/** A field that should be a whole number. */
export function whole(value: unknown, fallback: number): number {
  return typeof value === 'number' && Number.isInteger(value) ? value : fallback;
}

/** The latents of an autoencoder, by its configuration. */
export function latentsOfVae(config: Readonly<JsonObject>): Pick<ModelFacts, 'channels' | 'scale'> {
  // An AutoencoderTiny and an AsymmetricAutoencoderKL have their own names for them; a decoder alone has no encoder's.
  const blocks = [
    config.block_out_channels,
    config.encoder_block_out_channels,
    config.decoder_block_out_channels,
    config.down_block_out_channels,
  ].find((list) => Array.isArray(list) && list.length > 0);
  return {
    channels: whole(config.latent_channels, 4),
    scale: 2 ** ((Array.isArray(blocks) ? blocks.length : 1) - 1),
  };
}

/** The facts of loaded parts. */
export function factsOf({
  unet,
  vae,
  encoders = [],
  frames = 1,
  classes = 0,
  maxNoiseLevel,
}: {
  unet: UNetModel;
  vae?: { scale: number; sampleSize: number };
  encoders?: readonly { layers: number; pooledWidth: number }[];
  frames?: number;
  classes?: number;
  maxNoiseLevel?: number;
}): ModelFacts {
  return {
    sampleWidth: unet.sampleWidth,
    sampleHeight: unet.sampleHeight,
    channels: unet.native.outChannels,
    scale: vae?.scale ?? 1,
    tileSize: vae?.sampleSize ?? 0,
    contextWidth: unet.contextWidth,
    levels: unet.native.levels,
    layersPerBlock: unet.native.layersPerBlock,
    guidanceWidth: unet.timeCondWidth,
    textLayers: encoders.reduce((least, { layers }) => Math.min(least, layers), 1000),
    pooledWidth: encoders.at(-1)?.pooledWidth ?? 0,
    frames,
    classes,
    maxNoiseLevel,
  };
}
