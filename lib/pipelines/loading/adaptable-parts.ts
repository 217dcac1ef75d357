import type { AdaptablePart, PartName } from '../../adapters/part.js';
import type { CLIPTextModel } from '../../models/text-encoder.js';
import type { SDParts, XLParts } from './parts.js';

/** The networks of a pipeline of text that adapters change. */
export function adaptableParts(parts: SDParts | XLParts): AdaptablePart[] {
  const { unet } = parts;
  const encoders = 'text' in parts ? parts.text.map(({ encoder }) => encoder) : [parts.textEncoder];
  // SDXL's refiner has the second encoder alone.
  const isRefiner = 'text' in parts && encoders.length === 1;
  const names: PartName[] = isRefiner ? ['text_encoder_2'] : ['text_encoder', 'text_encoder_2'];
  return [
    adaptable('unet', unet, unet.config),
    ...encoders.map((encoder, i) => adaptable(names[i] as PartName, encoder)),
  ];
}

function adaptable(
  part: PartName,
  model: Pick<CLIPTextModel, 'weightShapes' | 'adapt'>,
  config: AdaptablePart['config'] = {},
): AdaptablePart {
  return {
    part,
    config,
    weightShapes: () => model.weightShapes(),
    adapt: (weights) => model.adapt(weights),
  };
}
