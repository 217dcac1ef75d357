import type { LayerTensors } from './layer.js';

/** Models by the width of the text that their U-Nets read. */
const BY_CONTEXT: Readonly<Record<number, string>> = {
  768: 'Stable Diffusion 1.x',
  1024: 'Stable Diffusion 2.x',
  1280: "SDXL's refiner",
  2048: 'SDXL',
};

/** Models whose U-Nets read text of this width. */
export function familyOfContext(width: number | undefined): string | undefined {
  return width !== undefined && Object.hasOwn(BY_CONTEXT, width) ? BY_CONTEXT[width] : undefined;
}

/** Layers that read text. */
const READERS = /attn2[._](?:processor\.)?to_[kv]$/;

const THIRD_ENCODER = /^(?:lora_te3_|text_encoder_3\.)/;

/** Which published models a file's layers are for; undefined when they do not say. */
export function familyOf(groups: ReadonlyMap<string, LayerTensors>): string | undefined {
  for (const [layer, tensors] of groups) {
    if (/motion_modules[._]/.test(layer)) return 'the motion modules of AnimateDiff';
    if (THIRD_ENCODER.test(layer)) return 'Stable Diffusion 3 or Flux, with a third text encoder';
    if (/double_blocks|transformer_blocks_\d+_attn_to|joint_blocks/.test(layer))
      return 'a diffusion transformer';
    if (!READERS.test(layer)) continue;
    const inputs = (tensors.get('down') ?? tensors.get('hada_w1_b') ?? tensors.get('diff'))?.shape[1];
    const family = familyOfContext(inputs);
    if (family !== undefined) return family;
  }
  return undefined;
}
