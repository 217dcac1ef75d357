import { invalidArgument } from '../../errors.js';
import { checkImageInput, type ImageInput } from '../../images/input.js';
import { show } from '../../messages.js';
import { LATENT } from '../families.js';
import * as kinds from '../kinds.js';
import { option } from '../option.js';

/** One for all ControlNets of a pipeline, or one for each. */
export type PerControlNet = number | readonly number[];

/** A number for all networks, or a list of one each. */
export const perNetwork = (min: number, max: number) =>
  kinds.own<PerControlNet>(`number, ${min} to ${max}, or a list`, 'numbers', (name, value) => {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    const fits = (one: unknown) => typeof one === 'number' && one >= min && one <= max;
    if (list.length > 0 && list.every(fits)) return;
    throw invalidArgument(
      name,
      `must be a number from ${min} to ${max}, or a list of them, got ${show(value)}`,
    );
  });

/** @param channels that tensors may have. */
export const picturesOfEach = (channels: readonly number[]) =>
  kinds.own<ImageInput | readonly ImageInput[]>('picture, or a list', 'text', (name, value) => {
    // A list may be of pictures, or of what each network sees: either is looked at one by one.
    for (const one of Array.isArray(value) && value.length > 0 ? value : [value]) {
      checkImageInput(name, one, channels);
    }
  });

/** Pictures that ControlNets see, and how much these count. */
export const CONTROL_OPTIONS = {
  /**
   * What the pipeline's ControlNet sees: an edge map, a pose, whatever it was trained on; one picture, or one for each
   * prompt. With several ControlNets a list with such a one for each of them. Pictures are resized to the run's size.
   */
  controlImage: option({
    kind: picturesOfEach([3]),
    families: LATENT,
    help: 'what the ControlNet sees; of several a list, one for each',
    flag: { spelling: '--control-image <file>', group: 'picture' },
  }),
  /** How much ControlNets count, 1 by default (diffusers: controlnet_conditioning_scale). */
  controlScale: option({
    kind: perNetwork(-10, 10),
    families: LATENT,
    help: 'how much ControlNets count',
    fallback: '1',
    needs: { name: 'controlImage', why: 'it is about what that does' },
    flag: { spelling: '--control-scale <x>', group: 'picture' },
  }),
  /** The share of the calls before ControlNets begin to count, 0 by default (control_guidance_start). */
  controlStart: option({
    kind: perNetwork(0, 1),
    families: LATENT,
    help: 'the share of the calls before ControlNets count',
    fallback: '0',
    needs: { name: 'controlImage', why: 'it is about what that does' },
    flag: { spelling: '--control-start <x>', group: 'picture' },
  }),
  /** The share of the calls after which they no longer do, 1 by default (control_guidance_end). */
  controlEnd: option({
    kind: perNetwork(0, 1),
    families: LATENT,
    help: 'the share of the calls after which they no longer do',
    fallback: '1',
    needs: { name: 'controlImage', why: 'it is about what that does' },
    flag: { spelling: '--control-end <x>', group: 'picture' },
  }),
  /** Lets ControlNets guess what the picture shows, without a prompt: only the conditional half sees them. Default false. */
  guessMode: option({
    kind: kinds.flag,
    families: LATENT,
    help: 'let ControlNets guess what the picture shows, even without a prompt',
    fallback: 'false',
    needs: { name: 'controlImage', why: 'it is about what that does' },
    flag: { spelling: '--guess-mode', group: 'picture' },
  }),
  /**
   * With `cache`: 'hold' (default) runs ControlNets in full calls only and keeps what they gave for those between;
   * 'live' runs in those too what they need, which costs more.
   */
  controlCache: option({
    kind: kinds.choice(['hold', 'live']),
    families: LATENT,
    help: 'with a cache: hold what ControlNets gave at the last full call, or run them live',
    fallback: "'hold'",
    needs: { name: 'controlImage', why: 'it is about what that does' },
    flag: { spelling: '--control-cache <how>', group: 'picture' },
  }),
};
