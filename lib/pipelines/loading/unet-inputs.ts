import { DeepCacheError } from '../../errors.js';
import type { UNetModel } from '../../models/unet.js';

/** What a U-Net reads besides latents, a text and a time. */
export interface UnetInputs {
  /** Channels of its input. */
  readonly channels: number;
  /** Whether it needs class labels. */
  readonly hasClasses: boolean;
  /** Whether it needs image embeddings. */
  readonly readsImages: boolean;
}

/** What a pipeline can give a U-Net. */
export interface SuppliedInputs {
  /** The numbers of channels that it can fill, of which so many are latents. */
  channels(latents: number): readonly number[];
  /** Whether it has class labels for it, which it must then take. */
  readonly classes?: boolean;
}

/** Of pipelines that sample latents from texts. */
export const ONLY_LATENTS: SuppliedInputs = { channels: (latents) => [latents] };

/**
 * Throws unless a run can give the U-Net all of its inputs.
 *
 * @param what that has the U-Net, for the message.
 */
export function checkInputs(what: string, unet: UnetInputs, latents: number, given: SuppliedInputs): void {
  const fail = (text: string) => {
    throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `${what} has ${text}`);
  };
  const { channels } = unet;
  const known = given.channels(latents);
  if (!known.includes(channels)) {
    if (channels === 2 * latents + 1) {
      fail(
        `an inpainting model: its U-Net takes ${channels} channels, with a mask and the masked picture. Give it ` +
          'an image and a mask (--image and --mask), or load it as StableDiffusionInpaintPipeline',
      );
    }
    fail(
      `a U-Net that takes ${channels} channels, of which this pipeline has ${known.join(' or ')}` +
        (known.length === 1 && known[0] === latents ? ', the latents' : ''),
    );
  }
  if (unet.readsImages)
    fail('a U-Net that is conditioned by image embeddings, which this pipeline does not have');
  if (unet.hasClasses && !given.classes) {
    fail('a U-Net that is conditioned by class labels, which this pipeline does not have');
  }
  if (given.classes && !unet.hasClasses) fail('a U-Net without class labels, which this pipeline needs');
}

/** @internal Of a loaded U-Net. */
export function inputsOfUnet({ inChannels, native }: Pick<UNetModel, 'inChannels' | 'native'>): UnetInputs {
  return { channels: inChannels, hasClasses: native.classWidth > 0, readsImages: native.imageWidth > 0 };
}

/** Of a configuration of diffusers. */
export function inputsOfConfig(config: Readonly<Record<string, unknown>>): UnetInputs {
  const isGiven = (name: string) => config[name] !== undefined && config[name] !== null;
  const kinds = [config.addition_embed_type, config.encoder_hid_dim_type];
  return {
    channels: typeof config.in_channels === 'number' ? config.in_channels : 4,
    hasClasses: isGiven('class_embed_type') || isGiven('num_class_embeds'),
    readsImages: kinds.some((kind) => typeof kind === 'string' && kind.includes('image')),
  };
}
