import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../lib/native/binding.js';
import { FOLDER } from './pipelines/tiny.js';

/** A T2I-Adapter for the tiny model in the diffusers layout, with synthetic weights. */
export async function writeT2IAdapter(folder: string, fields: object = {}): Promise<string> {
  const { block_out_channels: channels } = JSON.parse(readFileSync(join(FOLDER, 'unet/config.json'), 'utf8'));
  mkdirSync(folder);
  const config = JSON.stringify({
    _class_name: 'T2IAdapter',
    adapter_type: 'full_adapter',
    in_channels: 3,
    channels,
    num_res_blocks: 2,
    downscale_factor: 8,
    ...fields,
  });
  writeFileSync(join(folder, 'config.json'), config);
  const tensors = native().weightShapes('t2i_adapter', config);
  const path = join(folder, 'diffusion_pytorch_model.safetensors');
  await native().writeSynthetic({ path, tensors, dtype: 'float32' }).promise;
  return folder;
}
