import { invalidArgument } from '../../errors.js';
import { checkImageInput, type ImageSource } from '../../images/input.js';
import { checkIpAdapterScale, type IpAdapterScale } from '../../ip-adapter/scale.js';
import type { Tensor } from '../../tensor.js';
import { requireTensor } from '../checks.js';
import { PROMPTED } from '../families.js';
import * as json from '../json.js';
import * as kinds from '../kinds.js';
import { option } from '../option.js';

type Pictures = ImageSource | readonly (ImageSource | readonly ImageSource[])[];

/** Checks each entry of a list, or the value itself. */
const each = (check: (name: string, value: unknown) => void) => (name: string, value: unknown) => {
  if (!Array.isArray(value)) return check(name, value);
  if (value.length === 0) throw invalidArgument(name, 'must not be an empty list');
  value.forEach((item, i) => {
    check(`${name}[${i}]`, item);
  });
};

const block = json.oneOrList(json.real());
const blocks = { anyOf: [block, { type: 'object', additionalProperties: block, maxProperties: 16 }] };
const scaleForm = { anyOf: [json.real(), json.object({ down: blocks, mid: block, up: blocks })] };

/** Pictures beside the prompt, for IP-Adapters that `loadIpAdapter` has loaded. */
export const IP_ADAPTER_OPTIONS = {
  /**
   * The picture that prompts the run: one, or a list with an entry for each IP-Adapter in the order of loading; an entry
   * may be a list of pictures itself. Without it IP-Adapters count nothing.
   */
  ipAdapterImage: option({
    kind: kinds.own<Pictures>(
      'picture, or a list',
      'text',
      each((name, value) => {
        checkImageInput(name, value, []);
      }),
      json.oneOrList(json.oneOrList(json.picture)),
    ),
    families: PROMPTED,
    help: 'the picture that prompts the run, for IP-Adapters',
    excludes: ['ipAdapterImageEmbeds'],
  }),
  /**
   * What an image encoder made of pictures, in the place of them: [pictures, width], for Plus adapters [pictures, tokens,
   * width], or a list of such for several. As in diffusers it may be [2, ...], with what the negative rows read first.
   */
  ipAdapterImageEmbeds: option({
    kind: kinds.own<Tensor | readonly Tensor[]>(
      'tensor, or a list',
      'text',
      each((name, value) => {
        const axes = (value as Tensor | undefined)?.shape?.length ?? 2;
        const names = ['2', 'pictures', 'tokens', 'width'].slice(-Math.min(4, Math.max(2, axes)));
        requireTensor(
          name,
          value as Tensor,
          names.map(() => null),
          names,
        );
      }),
    ),
    families: PROMPTED,
    help: 'encoded pictures in the place of ipAdapterImage',
    local: 'tensors have no form in JSON',
  }),
  /**
   * How much the pictures count, 1 by default; 0: not at all, bit for bit. A list has one for each IP-Adapter. By blocks
   * of the U-Net: `{ down: { block_2: [0, 1] }, up: { block_0: [0, 1, 0] } }`; what is not named counts nothing.
   */
  ipAdapterScale: option({
    kind: kinds.own<IpAdapterScale | readonly IpAdapterScale[]>(
      'number, blocks, or a list',
      'text',
      each((name, value) => {
        checkIpAdapterScale(name, value);
      }),
      json.oneOrList(scaleForm),
    ),
    families: PROMPTED,
    help: 'how much pictures of IP-Adapters count',
    fallback: '1',
  }),
};
