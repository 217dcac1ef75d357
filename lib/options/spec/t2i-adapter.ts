import { BESIDE } from '../families.js';
import * as kinds from '../kinds.js';
import { option } from '../option.js';
import { perNetwork, picturesOfEach } from './control.js';

const needs = { name: 't2iAdapterImage', why: 'of which it says more' } as const;

/** Pictures that T2I-Adapters see, and how much these count. */
export const T2I_ADAPTER_OPTIONS = {
  /**
   * What the pipeline's T2I-Adapter sees: a sketch, a depth map, whatever it was trained on; one picture, or one for each
   * prompt. With several adapters a list with such a one for each of them. Pictures are resized to the run's size, and
   * turned to gray for adapters of one channel.
   */
  t2iAdapterImage: option({
    kind: picturesOfEach([1, 3]),
    families: BESIDE,
    help: 'what the T2I-Adapter sees; of several a list, one for each',
    flag: { spelling: '--t2i-adapter-image <file>', group: 'picture' },
  }),
  /** How much T2I-Adapters count, 1 by default (diffusers: adapter_conditioning_scale). */
  t2iAdapterScale: option({
    kind: perNetwork(-10, 10),
    families: BESIDE,
    help: 'how much T2I-Adapters count',
    fallback: '1',
    needs,
    flag: { spelling: '--t2i-adapter-scale <x>', group: 'picture' },
  }),
  /** The share of the steps, from the first one, in which T2I-Adapters count, 1 by default (adapter_conditioning_factor). */
  t2iAdapterFactor: option({
    kind: kinds.real(0, 1),
    families: BESIDE,
    help: 'the share of the steps, from the first, in which T2I-Adapters count',
    fallback: '1',
    needs,
    flag: { spelling: '--t2i-adapter-factor <x>', group: 'picture' },
  }),
};
