import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../../lib/native/binding.js';
import { FOLDER, noise } from '../native-addon/tiny-model.js';
import { writeSafetensors } from '../safetensors-file.js';

const MOTION = {
  _class_name: 'UNetMotionModel',
  motion_num_attention_heads: 8,
  motion_max_seq_length: 4,
  use_motion_mid_block: true,
};

/** The name that the authors' code gives to a tensor. */
export function original(name: string): string {
  return name
    .replace(/(motion_modules\.\d+\.)/, '$1temporal_transformer.')
    .replace('.pos_embed.', '.attention_blocks.0.pos_encoder.')
    .replace('.attn1.', '.attention_blocks.0.')
    .replace('.attn2.', '.attention_blocks.1.')
    .replace('.norm1.', '.norms.0.')
    .replace('.norm2.', '.norms.1.')
    .replace('.norm3.', '.ff_norm.');
}

/** Seeded motion modules of 4 frames for the tiny U-Net, as a file in the folder; `scale`: of what they add. */
export function adapterFile(
  folder: string,
  file: string,
  naming: (name: string) => string = original,
  scale = 0.2,
  mid = true,
): string {
  const tiny = JSON.parse(readFileSync(join(FOLDER, 'unet/config.json'), 'utf8'));
  const types = (list: string[]) => list.map((type) => type.replace(/2D$/, 'Motion'));
  const config = {
    ...tiny,
    ...MOTION,
    use_motion_mid_block: mid,
    down_block_types: types(tiny.down_block_types),
    up_block_types: types(tiny.up_block_types),
  };
  const wanted = native().weightShapes('unet', JSON.stringify(config));
  const tensors = wanted
    .filter(({ name }) => name.includes('motion_modules'))
    .map(({ name, shape }) => {
      const data = noise(shape.reduce((product, size) => product * size, 1));
      const factor = name.includes('proj_out') ? scale : 0.2;
      const stored = name.endsWith('.pe') ? [1, ...shape] : shape;
      return [naming(name), { shape: [...stored], data: data.map((value) => value * factor) }] as const;
    });
  const path = join(folder, file);
  writeSafetensors(path, Object.fromEntries(tensors));
  return path;
}
