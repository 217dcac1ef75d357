import { RESIZE_MODES } from '../../control/preprocess/fit.js';
import { PREPROCESSORS, type Preprocessor } from '../../control/preprocess/preprocess.js';
import { invalidArgument } from '../../errors.js';
import { checkImageInput, type ImageInput } from '../../images/input.js';
import { show } from '../../messages.js';
import { BESIDE } from '../families.js';
import * as json from '../json.js';
import * as kinds from '../kinds.js';
import { option } from '../option.js';

/** One for all ControlNets of a pipeline, or one for each. */
export type PerControlNet = number | readonly number[];

/**
 * Of a ControlNet-Union the kind of its picture, or those of several; with several ControlNets a list with such a one for
 * each, and an empty list for others.
 */
export type ControlMode = number | readonly (number | readonly number[])[];

/** What is made of the pictures of all ControlNets, or of each one's. */
export type ControlPreprocess = Preprocessor | 'none' | readonly (Preprocessor | 'none')[];

const CHANGES: readonly unknown[] = [...PREPROCESSORS, 'none'];

/** A number for all networks, or a list of one each. */
export const perNetwork = (min: number, max: number) => {
  const what = `a number from ${min} to ${max}, or a list of them`;
  const check = (name: string, value: unknown) => {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    const fits = (one: unknown) => typeof one === 'number' && one >= min && one <= max;
    if (list.length > 0 && list.every(fits)) return;
    throw invalidArgument(name, `must be ${what}, got ${show(value)}`);
  };
  const form = json.oneOrList(json.real(min, max));
  return kinds.own<PerControlNet>(`number, ${min} to ${max}, or a list`, 'eachNumber', check, form);
};

/** @param channels that tensors may have. */
export const picturesOfEach = (channels: readonly number[]) => {
  const check = (name: string, value: unknown) => {
    // A list may be of pictures, or of what each network sees: either is looked at one by one.
    for (const one of Array.isArray(value) && value.length > 0 ? value : [value]) {
      checkImageInput(name, one, channels);
    }
  };
  const form = json.oneOrList(json.picture);
  return kinds.own<ImageInput | readonly ImageInput[]>('picture, or a list', 'oneOrTexts', check, form);
};

/** Pictures that ControlNets see, and how much these count. */
export const CONTROL_OPTIONS = {
  /**
   * What the pipeline's ControlNet sees: an edge map, a pose, whatever it was trained on; one picture, or one for each
   * prompt. With several ControlNets a list with such a one for each of them. Pictures are resized to the run's size.
   */
  controlImage: option({
    kind: picturesOfEach([3]),
    families: BESIDE,
    help: 'what the ControlNet sees; of several a list, one for each',
    flag: { spelling: '--control-image <file>', group: 'picture' },
  }),
  /**
   * Of a ControlNet-Union what kind of picture it sees (diffusers: control_mode): a number from 0, or a list of several,
   * and `controlImage` is a list then. Of the published one: 0 pose, 1 depth, 2 soft edges or scribbles, 3 lines or canny,
   * 4 normals, 5 segments, 6 tile, 7 repaint.
   */
  controlMode: option({
    kind: kinds.own<ControlMode>(
      'whole number from 0, or a list',
      'eachWhole',
      (name, value) => {
        const list: readonly unknown[] = Array.isArray(value) ? value.flat() : [value];
        if (list.every((one) => Number.isInteger(one) && Number(one) >= 0 && Number(one) < 256)) return;
        throw invalidArgument(name, `must be a whole number from 0, or a list of them, got ${show(value)}`);
      },
      json.oneOrList(json.oneOrList(json.whole(0, 255))),
    ),
    families: BESIDE,
    help: 'of a ControlNet-Union the kind of its picture; of several a list',
    needs: { name: 'controlImage', why: 'of which it says more' },
    flag: {
      spelling: '--control-mode <n,...>',
      group: 'picture',
      help: 'of a ControlNet-Union the kinds of its pictures; with several ControlNets once for each, none for others',
    },
  }),
  /**
   * What is made of the picture before a ControlNet sees it, see `preprocess`: 'canny', 'blur', 'tile' or 'invert'; 'none'
   * by default. One for all ControlNets, or a list.
   */
  controlPreprocess: option({
    kind: kinds.own<ControlPreprocess>(
      "'canny', 'blur', 'tile', 'invert' or 'none', or a list",
      'oneOrTexts',
      (name, value) => {
        const list: readonly unknown[] = Array.isArray(value) ? value : [value];
        if (list.length > 0 && list.every((one) => CHANGES.includes(one))) return;
        throw invalidArgument(name, `must be ${CHANGES.join(', ')}, or a list of them, got ${show(value)}`);
      },
      json.oneOrList(json.choice([...PREPROCESSORS, 'none'])),
    ),
    families: BESIDE,
    help: 'what is made of the picture before a ControlNet sees it',
    fallback: "'none'",
    needs: { name: 'controlImage', why: 'of which it says more' },
    flag: { spelling: '--control-preprocess <how>', group: 'picture' },
  }),
  /** How the picture gets the run's size: 'stretch' (default), 'crop' what stands over, or 'fill' with black. */
  controlResize: option({
    kind: kinds.choice(RESIZE_MODES),
    families: BESIDE,
    help: "how the picture gets the run's size: out of shape, cut, or with black beside it",
    fallback: "'stretch'",
    needs: { name: 'controlImage', why: 'of which it says more' },
    flag: { spelling: '--control-resize <how>', group: 'picture' },
  }),
  /** How much ControlNets count, 1 by default (diffusers: controlnet_conditioning_scale). */
  controlScale: option({
    kind: perNetwork(-10, 10),
    families: BESIDE,
    help: 'how much ControlNets count',
    fallback: '1',
    needs: { name: 'controlImage', why: 'of which it says more' },
    flag: { spelling: '--control-scale <x>', group: 'picture' },
  }),
  /** The share of the calls before ControlNets begin to count, 0 by default (control_guidance_start). */
  controlStart: option({
    kind: perNetwork(0, 1),
    families: BESIDE,
    help: 'the share of the calls before ControlNets count',
    fallback: '0',
    needs: { name: 'controlImage', why: 'of which it says more' },
    flag: { spelling: '--control-start <x>', group: 'picture' },
  }),
  /** The share of the calls after which they no longer do, 1 by default (control_guidance_end). */
  controlEnd: option({
    kind: perNetwork(0, 1),
    families: BESIDE,
    help: 'the share of the calls after which they no longer do',
    fallback: '1',
    needs: { name: 'controlImage', why: 'of which it says more' },
    flag: { spelling: '--control-end <x>', group: 'picture' },
  }),
  /** Lets ControlNets guess what the picture shows, without a prompt: only the conditional half sees them. Default false. */
  guessMode: option({
    kind: kinds.flag,
    families: BESIDE,
    help: 'let ControlNets guess what the picture shows, even without a prompt',
    fallback: 'false',
    needs: { name: 'controlImage', why: 'of which it says more' },
    flag: { spelling: '--guess-mode', group: 'picture' },
  }),
  /**
   * With `cache`: 'hold' (default) runs ControlNets in full calls only and keeps what they gave for those between;
   * 'live' runs in those too what they need, which costs more.
   */
  controlCache: option({
    kind: kinds.choice(['hold', 'live']),
    families: BESIDE,
    help: 'with a cache: hold what ControlNets gave at the last full call, or run them live',
    fallback: "'hold'",
    needs: { name: 'controlImage', why: 'of which it says more' },
    flag: { spelling: '--control-cache <how>', group: 'picture' },
  }),
};
