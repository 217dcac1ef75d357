import type { PartSource } from '../../models/part-source.js';
import type { ModelIndex } from './parts.js';

/**
 * What a folder without model_index.json holds, from its config.json: the DDPM code's layout, a single UNet2DModel of
 * diffusers, or latent diffusion's. Undefined for anything else.
 */
export async function readOriginalIndex(
  source: PartSource,
  signal?: AbortSignal,
): Promise<Pick<ModelIndex, 'className' | 'value'> | undefined> {
  if (!source.hasJson('config.json')) return undefined;
  const { value } = await source.json('config.json', { signal });
  if (Array.isArray(value.ch_mult) || value._class_name === 'UNet2DModel') {
    return { className: 'DDPMPipeline', value: {} };
  }
  if (typeof value.target === 'string' && value.target.endsWith('.LatentDiffusion')) {
    return { className: 'ClassConditionalLDMPipeline', value: {} };
  }
  return undefined;
}
