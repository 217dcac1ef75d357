import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../../lib/native/binding.js';

/** The weights of a folder that {@link writeTinyVae} has written. */
export const TINY_VAE_FILE = 'diffusion_pytorch_model.safetensors';

/** A TAESD with synthetic weights, as a folder. */
export async function writeTinyVae(folder: string, config: object = {}): Promise<string> {
  mkdirSync(folder);
  const text = JSON.stringify({
    _class_name: 'AutoencoderTiny',
    encoder_block_out_channels: [4, 4, 4, 4],
    decoder_block_out_channels: [4, 4, 4, 4],
    num_encoder_blocks: [1, 1, 1, 1],
    num_decoder_blocks: [1, 1, 1, 1],
    latent_channels: 4,
    scaling_factor: 1,
    ...config,
  });
  writeFileSync(join(folder, 'config.json'), text);
  const tensors = native().weightShapes('vae', text);
  await native().writeSynthetic({ path: join(folder, TINY_VAE_FILE), tensors, dtype: 'float32' }).promise;
  return folder;
}
